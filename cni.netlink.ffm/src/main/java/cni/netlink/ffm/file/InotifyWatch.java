// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.file;

import cni.netlink.ffm.KernelException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Reports which files of a directory were created, removed, renamed or written to by any process,
 * inotify(7). The kernel queues a change before the system call that made it returns; a caller that
 * holds the lock under which all processes change the directory therefore misses nothing.
 * Thread-safe.
 */
public final class InotifyWatch implements AutoCloseable {
  /** As many as the kernel queues by default (fs.inotify.max_queued_events). */
  private static final int MAX_CHANGES = 16_384;

  private final Inotify inotify;
  private final int wd;
  private final AtomicBoolean closed = new AtomicBoolean();

  // Guarded by the lock of Inotify.
  private Set<String> changes = new HashSet<>();
  private boolean changesLost;

  InotifyWatch(Inotify inotify, int wd) {
    this.inotify = inotify;
    this.wd = wd;
  }

  /**
   * Starts to watch a directory with a descriptor that can be polled.
   *
   * @throws KernelException ENOENT if it does not exist, ENOTDIR if it is not a directory, EMFILE
   *     or ENOSPC if the user has reached a limit of the sysctls fs.inotify.*
   */
  public static InotifyWatch open(Path directory) throws KernelException {
    return Inotify.watch(directory);
  }

  /**
   * Starts to watch a directory with the descriptor that all such watches of this process share. If
   * its queue overflows, all of them lose changes.
   *
   * @throws KernelException as {@link #open}
   */
  public static InotifyWatch openShared(Path directory) throws KernelException {
    return Inotify.watchShared(directory);
  }

  /**
   * Returns the names of the files that have changed since the previous call, or since the watch
   * was opened. If the directory had been watched with the shared descriptor before, some earlier
   * changes may be among them.
   *
   * @return empty, from then on for every call, if changes are unknown: the directory was removed
   *     or renamed, or its queue overflowed
   * @throws IOException if the events cannot be read
   */
  public Optional<Set<String>> pollChanges() throws IOException {
    return inotify.poll(this);
  }

  /** Returns the number of the descriptor, which is readable while there are changes. */
  public int fd() {
    return inotify.fd();
  }

  int wd() {
    return wd;
  }

  void addChange(String name) {
    if (!changesLost) {
      changes.add(name);
      if (changes.size() > MAX_CHANGES) {
        loseChanges();
      }
    }
  }

  void loseChanges() {
    changesLost = true;
    changes.clear();
  }

  Optional<Set<String>> takeChanges() {
    Set<String> taken = changes;
    changes = new HashSet<>();
    return changesLost ? Optional.empty() : Optional.of(taken);
  }

  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      inotify.close(this);
    }
  }
}
