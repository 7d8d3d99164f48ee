// SPDX-License-Identifier: Apache-2.0
package cni.api;

/** Finds the plugins that a plugin delegates to (SPEC section 4). */
@FunctionalInterface
public interface Delegates {
  /**
   * Finds a plugin by type. The delegating plugin passes its own request on, and does not know
   * whether a module or an executable serves it.
   *
   * @throws CniException code 7 if there is no such plugin
   */
  NetworkPlugin find(String type) throws CniException;
}
