// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A network's store, opened: what a call works with. Calls of one process that write run one after
 * the other, because they would make each other's transactions fail.
 */
class StoreSession implements AutoCloseable {
  private final EtcdStore store;
  private final StoreView view;
  private final ReentrantLock lock = new ReentrantLock(true);

  StoreSession(EtcdStore store) {
    this.store = store;
    view = new StoreView(store);
  }

  EtcdStore store() {
    return store;
  }

  StoreView view() {
    return view;
  }

  /** A call that writes. */
  interface Call<T> {
    T run() throws CniException;
  }

  /**
   * Runs a call when no other one of this process writes.
   *
   * @throws CniException code 11 if other calls take until the deadline, or the thread is
   *     interrupted; otherwise as the call throws
   */
  <T> T exclusively(Deadline deadline, Call<T> call) throws CniException {
    try {
      if (!lock.tryLock(deadline.remaining().toNanos(), TimeUnit.NANOSECONDS)) {
        throw new CniException(
            ErrorCode.TRY_AGAIN_LATER, "the deadline passed while other calls used etcd");
      }
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for other calls that use etcd");
    }
    try {
      return call.run();
    } finally {
      lock.unlock();
    }
  }

  /** A call that writes and returns nothing. */
  interface Action {
    void run() throws CniException;
  }

  /**
   * Runs an action when no other call of this process writes.
   *
   * @throws CniException as {@link #exclusively}
   */
  void runExclusively(Deadline deadline, Action action) throws CniException {
    exclusively(
        deadline,
        () -> {
          action.run();
          return this;
        });
  }

  /** Ends the use by one call, and remembers the revision that it has seen. */
  @Override
  public void close() {
    store.saveWitness();
    store.close();
  }
}
