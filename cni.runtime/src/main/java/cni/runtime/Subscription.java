// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import java.util.List;

/** A registered event listener; see {@link Cni#onEvent}. */
public interface Subscription extends AutoCloseable {
  /**
   * Returns why events are missing: the errors of the sources of events that could not be opened,
   * such as for lack of privileges. The listener receives an event for each as well.
   *
   * @return empty if all events are reported
   */
  default List<CniException> failures() {
    return List.of();
  }

  /** Removes the listener. A call of it that is under way is interrupted, not waited for. */
  @Override
  void close();
}
