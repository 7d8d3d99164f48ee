// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

/**
 * A request to bring an attachment to a desired state.
 *
 * @param current the configuration and the arguments of the last successful ADD or update; shows
 *     which state that is no longer desired may have to be removed. After an interrupted update the
 *     kernel may be in a state between the current and the desired one, or in either.
 * @param desired the configuration and the arguments that the attachment shall have. Equal to the
 *     current ones for CHECK and repair. Its previous result is the desired final result as far as
 *     the preceding plugins of the chain have determined it; otherwise that of the last ADD.
 */
public record UpdateRequest(AttachmentRequest current, AttachmentRequest desired) {
  /** Checks that no argument is null. */
  public UpdateRequest {
    requireNonNull(current, "current");
    requireNonNull(desired, "desired");
  }

  /** Creates the request of CHECK and repair: nothing but the kernel's state may differ. */
  public static UpdateRequest unchanged(AttachmentRequest request) {
    requireNonNull(request, "request");
    return new UpdateRequest(request, request);
  }

  /** Returns whether configuration and arguments stay the same. */
  public boolean isUnchanged() {
    return current.config().json().equals(desired.config().json())
        && current.attachment().args().equals(desired.attachment().args());
  }
}
