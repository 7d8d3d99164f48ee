// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import cni.api.CniException;

/**
 * A computation that may throw {@link CniException}.
 *
 * @param <T> the type of the result
 */
@FunctionalInterface
public interface CniCallable<T> {
  /**
   * Computes the result.
   *
   * @throws CniException if that fails
   */
  T call() throws CniException;
}
