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
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;

/**
 * Reports which files of a directory were created, removed, renamed or written to by any process,
 * inotify(7). The kernel queues a change before the system call that made it returns; a caller that
 * holds the lock under which all processes change the directory therefore misses nothing. Not
 * thread-safe.
 */
public final class InotifyWatch implements AutoCloseable {
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

  /** Events after which some changes are or will be unknown. */
  private static final int LOSS_EVENTS =
      IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED;

  /** struct inotify_event: wd s32, mask u32, cookie u32, len u32, then the name. */
  private static final int EVENT_HEADER = 16;

  /** With a name of 255 bytes and its terminating zero. */
  private static final int MAX_EVENT = EVENT_HEADER + 256;

  private static final int BUFFER_SIZE = 4 * 1024;

  private final Descriptor descriptor;
  private boolean changesLost;

  private InotifyWatch(Descriptor descriptor) {
    this.descriptor = descriptor;
  }

  /**
   * Starts to watch a directory.
   *
   * @throws KernelException ENOENT if it does not exist, ENOTDIR if it is not a directory, EMFILE
   *     or ENOSPC if the user has reached a limit of the sysctls fs.inotify.*
   */
  public static InotifyWatch open(Path directory) throws KernelException {
    int flags = Libc.O_NONBLOCK | Libc.O_CLOEXEC; // the same as IN_NONBLOCK and IN_CLOEXEC
    var descriptor = new Descriptor(Libc.inotifyInit1(flags));
    try {
      Libc.inotifyAddWatch(descriptor.fd(), directory.toString(), WATCHED_EVENTS);
      return new InotifyWatch(descriptor);
    } catch (KernelException e) {
      descriptor.close();
      throw e;
    }
  }

  /**
   * Returns the names of the files that have changed since the previous call, or since {@link
   * #open}.
   *
   * @return empty, from then on for every call, if changes are unknown: the directory was removed
   *     or renamed, or its queue overflowed
   * @throws IOException if the events cannot be read
   */
  public Optional<Set<String>> pollChanges() throws IOException {
    Set<String> names = new HashSet<>();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(BUFFER_SIZE, 8);
      while (!changesLost) {
        int length = (int) Libc.readNonBlocking(descriptor.fd(), buffer);
        if (length == 0) {
          return Optional.of(names);
        }
        addNames(buffer.asSlice(0, length), names);
        if (!changesLost && length <= BUFFER_SIZE - MAX_EVENT) {
          return Optional.of(names); // another event would have fitted: the queue is empty
        }
      }
    }
    return Optional.empty();
  }

  private void addNames(MemorySegment events, Set<String> names) throws MalformedMessageException {
    long at = 0;
    while (at + EVENT_HEADER <= events.byteSize()) {
      changesLost |= (events.get(JAVA_INT, at + 4) & LOSS_EVENTS) != 0;
      long length = Integer.toUnsignedLong(events.get(JAVA_INT, at + 12));
      if (length > events.byteSize() - at - EVENT_HEADER) {
        throw new MalformedMessageException("an inotify event has a name of " + length + " bytes");
      }
      if (length > 0) {
        names.add(events.asSlice(at + EVENT_HEADER, length).getString(0)); // padded with zeros
      }
      at += EVENT_HEADER + length;
    }
  }

  @Override
  public void close() {
    descriptor.close();
  }
}
