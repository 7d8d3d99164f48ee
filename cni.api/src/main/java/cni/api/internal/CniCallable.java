package cni.api.internal;

import cni.api.CniException;

/**
 * A computation that may fail with an error of the specification.
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
