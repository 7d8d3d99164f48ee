// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.util.Optional;
import java.util.Set;

/**
 * A plugin that can compare an attachment with its desired state and change it to that state while
 * it is in use: the interface, its addresses and established connections stay. CHECK, repair and
 * update are the same comparison: CHECK reports the differences, repair applies their changes, and
 * update does so with another configuration or other arguments.
 *
 * <p>A plugin that does not implement this interface, such as an executable, gets CHECK, and DEL
 * and ADD when its part of the desired state changes.
 */
public interface UpdatablePlugin extends NetworkPlugin {
  /**
   * Returns the keys whose values can change without an interruption of the attachment, as paths in
   * the plugin's configuration: {@code mtu}, {@code ipam.routes}, {@code
   * runtimeConfig.portMappings}. A key that contains others includes them. A change of any other
   * key is refused before anything is changed.
   */
  Set<String> changeableKeys();

  /**
   * Compares the attachment with its desired state and adds what differs to {@code differences}, in
   * the order in which the changes have to be made. Changes nothing itself.
   *
   * @return the desired result of the attachment after this plugin: the previous result of the
   *     desired request, with the values that differ in the desired state
   * @throws CniException if the comparison is impossible, or the desired state is invalid
   */
  Result compare(UpdateRequest request, Differences differences) throws CniException;

  /**
   * {@inheritDoc}
   *
   * @throws CniException code 999 with every difference in its message and its {@linkplain
   *     CniException#findings findings}
   */
  @Override
  default void check(AttachmentRequest request) throws CniException {
    requireNonNull(request, "request");
    request.requirePrevResult();
    try (var differences = new Differences()) {
      compare(UpdateRequest.unchanged(request), differences);
      differences.requireNone(type());
    }
  }

  @Override
  default Optional<UpdatablePlugin> updatable() {
    return Optional.of(this);
  }
}
