// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.Verb;

/**
 * Receives the outcome and the duration of each call of a plugin, delegates included. It runs on
 * the thread of the call, before the call returns: it must be quick, and safe for use by several
 * threads.
 */
@FunctionalInterface
public interface PluginCallObserver {
  /**
   * Receives a call that has ended.
   *
   * @param type the plugin's type
   * @param verb the verb that it was called with
   * @param succeeded whether it ended without an error
   * @param nanos how long it took, with the delegates that it called
   */
  void ended(String type, Verb verb, boolean succeeded, long nanos);
}
