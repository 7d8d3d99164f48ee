// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;

/**
 * Errors of operations on an attachment whose namespace no longer exists: nothing can be compared
 * or restored in it, and GC removes what is left on the host.
 *
 * @param network the network's name
 * @param attachment the attachment
 */
record GoneNamespace(String network, Attachment attachment) {
  /** Returns whether the namespace is known and no longer exists. */
  boolean isGone() {
    if (attachment.namespace().isEmpty()) {
      return false;
    }
    try (NetNs netns = NetNs.openIfPresent(attachment.namespace().get()).orElse(null)) {
      return netns == null;
    } catch (KernelException e) {
      return false; // it exists, and cannot be opened
    }
  }

  /** Returns the command that removes what is left. */
  String remedy(SuggestedCommand suggested) {
    return suggested.complete("cni gc " + network);
  }

  /** Returns an error with the command if the namespace is its reason, otherwise as it is. */
  CniException explain(CniException error, SuggestedCommand suggested) {
    return error.is(ErrorCode.INVALID_NAMESPACE) && isGone()
        ? new CniException(
            ErrorCode.INVALID_NAMESPACE,
            "%s; \"%s\" removes what is left of the container"
                .formatted(error.getMessage(), remedy(suggested)),
            error)
        : error;
  }
}
