// SPDX-License-Identifier: Apache-2.0
package cni.api;

/**
 * A plugin that works between calls while its host runs, such as by renewing leases. It must serve
 * calls even if the host never starts it: it then leaves that work to another process, or refuses
 * requests that depend on it.
 */
public interface ResidentPlugin extends NetworkPlugin {
  /**
   * Starts that work, or resumes the work of an earlier host, even of one that crashed. Called once
   * per host.
   *
   * @param host the host; it can be used until {@link #stop} returns
   * @throws CniException if it cannot start; calls are served nevertheless
   */
  void start(PluginHost host) throws CniException;

  /**
   * Stops that work and leaves its state for the next host. If a newer version replaces this
   * plugin, this is called after the newer one has been started and after the last call to this
   * one.
   */
  void stop();
}
