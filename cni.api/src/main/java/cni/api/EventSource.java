// SPDX-License-Identifier: Apache-2.0
package cni.api;

import java.io.Closeable;

/**
 * A source of {@link PluginEvent}s that is not a plugin. A module registers one by {@code provides
 * cni.api.EventSource with …}. It is not opened before an event listener is registered.
 */
public interface EventSource {
  /**
   * Starts publishing events to the host. Called when the first listener is registered.
   *
   * @return stops publishing; closed when the last listener is removed
   * @throws CniException if it cannot start; other sources are not affected
   */
  Closeable open(PluginHost host) throws CniException;
}
