// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.internal.KeyedLocks;

/**
 * The locks by which operations of one {@link Cni} on the same container run one after the other
 * (SPEC section 3, "Lifecycle and Ordering").
 */
final class ContainerLocks {
  private final KeyedLocks<String> locks = new KeyedLocks<>();

  /**
   * Acquires a container's lock: waits until no other operation of this instance uses the
   * container.
   *
   * @throws CniException code 11 if the deadline passes first or the thread is interrupted
   */
  KeyedLocks.Held acquire(String containerId, Deadline deadline) throws CniException {
    try {
      return locks
          .tryAcquire(containerId, deadline.remaining())
          .orElseThrow(
              () ->
                  new CniException(
                      ErrorCode.TRY_AGAIN_LATER,
                      "another operation on container %s did not end by the deadline"
                          .formatted(containerId)));
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for another operation on container " + containerId);
    }
  }

  /** Returns the number of containers whose locks are in use. */
  int size() {
    return locks.size();
  }
}
