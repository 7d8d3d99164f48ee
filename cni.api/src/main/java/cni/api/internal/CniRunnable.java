// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import cni.api.CniException;

/** An action that may throw {@link CniException}. */
@FunctionalInterface
public interface CniRunnable {
  /**
   * Runs the action.
   *
   * @throws CniException if it fails
   */
  void run() throws CniException;

  /** The same action as a computation, whose result has no meaning. */
  default CniCallable<Boolean> asCallable() {
    return () -> {
      run();
      return true;
    };
  }
}
