// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.file;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * An inotify instance: one descriptor with one queue for all directories that are watched with it.
 * It is closed with its last watch. A user has 128 instances by default
 * (fs.inotify.max_user_instances), but thousands of watches.
 *
 * <p>Whichever watch is polled, the events of all are read and distributed. If the queue overflows,
 * or cannot be read, all have lost changes. Thread-safe: one lock guards all instances and watches.
 */
final class Inotify {
  // sys/inotify.h
  private static final int IN_MODIFY = 0x2;
  private static final int IN_MOVED_FROM = 0x40;
  private static final int IN_MOVED_TO = 0x80;
  private static final int IN_CREATE = 0x100;
  private static final int IN_DELETE = 0x200;
  private static final int IN_DELETE_SELF = 0x400;
  private static final int IN_MOVE_SELF = 0x800;
  private static final int IN_UNMOUNT = 0x2000;
  private static final int IN_Q_OVERFLOW = 0x4000;
  private static final int IN_IGNORED = 0x8000;
  private static final int IN_ONLYDIR = 0x0100_0000;

  private static final int WATCHED_EVENTS =
      IN_MODIFY
          | IN_MOVED_FROM
          | IN_MOVED_TO
          | IN_CREATE
          | IN_DELETE
          | IN_DELETE_SELF
          | IN_MOVE_SELF
          | IN_ONLYDIR;

  /** Events after which some changes of a directory are or will be unknown. */
  private static final int LOSS_EVENTS = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED;

  /** struct inotify_event: wd s32, mask u32, cookie u32, len u32, then the name. */
  private static final int EVENT_HEADER = 16;

  /** With a name of 255 bytes and its terminating zero. */
  private static final int MAX_EVENT = EVENT_HEADER + 256;

  private static final int BUFFER_SIZE = 4 * 1024;

  private static final Object LOCK = new Object();

  private static @Nullable Inotify shared;

  private final Descriptor descriptor;

  /**
   * The open watches by the kernel's watch descriptors. Watches of one directory have the same one;
   * the kernel does not use a number again (idr_alloc_cyclic in fs/notify/inotify).
   */
  private final Map<Integer, Set<InotifyWatch>> watches = new HashMap<>();

  private int openWatches;

  private Inotify() throws KernelException {
    // The same as IN_NONBLOCK and IN_CLOEXEC.
    this.descriptor = new Descriptor(Libc.inotifyInit1(Libc.O_NONBLOCK | Libc.O_CLOEXEC));
  }

  /**
   * Starts to watch a directory in an instance of its own.
   *
   * @throws KernelException if it cannot be watched; see {@link InotifyWatch#open}
   */
  static InotifyWatch watch(Path directory) throws KernelException {
    synchronized (LOCK) {
      return new Inotify().add(directory);
    }
  }

  /**
   * Starts to watch a directory in the instance that this process shares.
   *
   * @throws KernelException as {@link #watch}
   */
  static InotifyWatch watchShared(Path directory) throws KernelException {
    synchronized (LOCK) {
      Inotify inotify = shared == null ? new Inotify() : shared;
      InotifyWatch watch = inotify.add(directory);
      shared = inotify;
      return watch;
    }
  }

  private InotifyWatch add(Path directory) throws KernelException {
    openWatches++;
    try {
      int wd = Libc.inotifyAddWatch(descriptor.fd(), directory.toString(), WATCHED_EVENTS);
      var watch = new InotifyWatch(this, wd);
      watches.computeIfAbsent(wd, _ -> new HashSet<>()).add(watch);
      return watch;
    } catch (KernelException e) {
      releaseOne();
      throw e;
    }
  }

  int fd() {
    return descriptor.fd();
  }

  /**
   * Reads the queue and returns what a watch has collected since the previous call.
   *
   * @return empty if it has lost changes
   * @throws IOException if the queue cannot be read
   */
  Optional<Set<String>> poll(InotifyWatch watch) throws IOException {
    synchronized (LOCK) {
      boolean complete = false;
      try {
        readQueue();
        complete = true;
      } finally {
        if (!complete) {
          loseAll();
        }
      }
      return watch.takeChanges();
    }
  }

  private void readQueue() throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(BUFFER_SIZE, 8);
      int length;
      do {
        length = (int) Libc.readNonBlocking(descriptor.fd(), buffer);
        distribute(buffer.asSlice(0, length));
      } while (length > BUFFER_SIZE - MAX_EVENT); // else another event would have fitted
    }
  }

  private void distribute(MemorySegment events) throws MalformedMessageException {
    long at = 0;
    while (at + EVENT_HEADER <= events.byteSize()) {
      int wd = events.get(JAVA_INT, at);
      int mask = events.get(JAVA_INT, at + 4);
      long length = Integer.toUnsignedLong(events.get(JAVA_INT, at + 12));
      if (length > events.byteSize() - at - EVENT_HEADER) {
        throw new MalformedMessageException("an inotify event has a name of " + length + " bytes");
      }
      if ((mask & IN_Q_OVERFLOW) != 0) {
        loseAll();
      }
      Set<InotifyWatch> concerned = watches.getOrDefault(wd, Set.of());
      if ((mask & LOSS_EVENTS) != 0) {
        concerned.forEach(InotifyWatch::loseChanges);
      }
      if (length > 0) {
        String name = events.asSlice(at + EVENT_HEADER, length).getString(0); // padded with zeros
        concerned.forEach(watch -> watch.addChange(name));
      }
      if ((mask & IN_IGNORED) != 0) {
        watches.remove(wd);
      }
      at += EVENT_HEADER + length;
    }
  }

  private void loseAll() {
    watches.values().forEach(all -> all.forEach(InotifyWatch::loseChanges));
  }

  /** Ends a watch, once. */
  void close(InotifyWatch watch) {
    synchronized (LOCK) {
      Set<InotifyWatch> ofDirectory = watches.get(watch.wd()); // null if the kernel has removed it
      if (ofDirectory != null && ofDirectory.remove(watch) && ofDirectory.isEmpty()) {
        watches.remove(watch.wd());
        if (openWatches > 1) { // else the descriptor is closed
          Libc.inotifyRmWatch(descriptor.fd(), watch.wd());
        }
      }
      releaseOne();
    }
  }

  private void releaseOne() {
    openWatches--;
    if (openWatches == 0) {
      descriptor.close();
      shared = shared == this ? null : shared;
    }
  }
}
