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
 * Tells which files of a directory have changed, inotify(7): those created, removed, renamed or
 * written to, by whatever process. A change is known here as soon as the call that made it has
 * returned, so whoever holds a lock that the others keep to misses nothing. For one thread at a
 * time.
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

  /** What means that not every change has been or will be told. */
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
   * Begins to watch a directory.
   *
   * @throws KernelException ENOENT if there is none, ENOTDIR if it is something else, EMFILE or
   *     ENOSPC if this user watches as much as the kernel allows (fs.inotify.*)
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
   * The names of the files that have changed since this was asked the last time.
   *
   * @return absent if not all of them are known, now and for ever after: the directory was removed
   *     or renamed, or there were too many changes
   * @throws IOException if they cannot be read
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
          return Optional.of(names); // what would have fitted was not there
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
        throw new MalformedMessageException("an event of inotify has a name of " + length);
      }
      if (length > 0) {
        names.add(events.asSlice(at + EVENT_HEADER, length).getString(0)); // filled up with zeros
      }
      at += EVENT_HEADER + length;
    }
  }

  @Override
  public void close() {
    descriptor.close();
  }
}
