package cni.netlink.ffm.libc;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import java.lang.foreign.Arena;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;

/**
 * The functions of the C library that this module needs. Each returns what the C function returns,
 * or throws with the errno of that very call.
 */
@SuppressWarnings("restricted")
public // calling foreign functions is what this class is for
final class Libc {
  // fcntl.h
  static final int AT_EMPTY_PATH = 0x1000;
  public static final int O_RDONLY = 0;
  public static final int O_CREAT = 0x40;
  public static final int O_EXCL = 0x80;
  public static final int O_NONBLOCK = 0x800;
  public static final int O_CLOEXEC = 0x80000;
  // sched.h
  public static final int CLONE_NEWNS = 0x00020000;
  public static final int CLONE_NEWNET = 0x40000000;
  // sys/mount.h
  public static final long MS_BIND = 0x1000;
  public static final long MS_REC = 0x4000;
  public static final long MS_SLAVE = 1 << 19;
  public static final long MS_SHARED = 1 << 20;
  public static final int MNT_DETACH = 2;
  // sys/file.h
  public static final int LOCK_SH = 1;
  public static final int LOCK_EX = 2;
  public static final int LOCK_NB = 4;
  // sys/stat.h: struct statx
  static final int STATX_INO = 0x100;
  static final int STATX_SIZE = 256;
  static final int STATX_INO_OFFSET = 32;
  static final int STATX_DEV_MAJOR_OFFSET = 136;

  static final StructLayout STATE = Linker.Option.captureStateLayout();

  /** Where errno is in it: on Linux it has nothing else. */
  private static final long ERRNO_OFFSET = 0;

  private static final CFunction OPEN = CFunction.of("open");
  private static final CFunction CLOSE = CFunction.of("close");
  private static final CFunction DUP2 = CFunction.of("dup2");
  private static final CFunction SETNS = CFunction.of("setns");
  private static final CFunction UNSHARE = CFunction.of("unshare");
  private static final CFunction IOCTL = CFunction.of("ioctl");
  private static final CFunction STATX = CFunction.of("statx");
  private static final CFunction MOUNT = CFunction.of("mount");
  private static final CFunction UMOUNT2 = CFunction.of("umount2");
  private static final CFunction FLOCK = CFunction.of("flock");
  private static final CFunction SOCKET = CFunction.of("socket");
  private static final CFunction BIND = CFunction.of("bind");
  private static final CFunction GETSOCKNAME = CFunction.of("getsockname");
  private static final CFunction SETSOCKOPT = CFunction.of("setsockopt");
  private static final CFunction SENDTO = CFunction.of("sendto");
  private static final CFunction RECVFROM = CFunction.of("recvfrom");
  private static final CFunction READ = CFunction.of("read");
  private static final CFunction INOTIFY_INIT1 = CFunction.of("inotify_init1");
  private static final CFunction INOTIFY_ADD_WATCH = CFunction.of("inotify_add_watch");
  private static final CFunction STRERROR = CFunction.of("strerror_r");

  private Libc() {}

  /** open(2). */
  public static int open(String path, int flags, int mode) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      int fd = (int) OPEN.call(state, arena.allocateFrom(path).address(), flags, mode);
      return check(fd, state, "open " + path);
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** close(2). The descriptor is gone afterwards whatever the answer, so there is none. */
  public static void close(int fd) {
    try (Arena arena = Arena.ofConfined()) {
      long ignored = CLOSE.call(arena.allocate(STATE), fd);
    } catch (Throwable t) {
      throw new AssertionError(t);
    }
  }

  /** dup2(2). */
  public static void dup2(int fd, int number) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      check((int) DUP2.call(state, fd, number), state, "dup2");
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** setns(2), for a network namespace. */
  public static void setns(int fd) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      check((int) SETNS.call(state, fd, CLONE_NEWNET), state, "setns to a network namespace");
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** unshare(2). */
  public static void unshare(int flags) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      check((int) UNSHARE.call(state, flags), state, "unshare");
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** ioctl(2) for requests without an argument. */
  public static int ioctl(int fd, long request, String what) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      return check((int) IOCTL.call(state, fd, request), state, what);
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** ioctl(2) for requests whose argument is a structure. */
  public static void ioctl(int fd, long request, MemorySegment argument, String what)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      check((int) IOCTL.call(state, fd, request, argument.address()), state, what);
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** ioctl(2) for requests whose argument is a number. */
  public static void ioctl(int fd, long request, long argument, String what)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      check((int) IOCTL.call(state, fd, request, argument), state, what);
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** statx(2) of an open descriptor: device major, device minor, inode. */
  public static long[] statx(int fd) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      MemorySegment statx = arena.allocate(STATX_SIZE, 8);
      int answer =
          (int)
              STATX.call(
                  state,
                  fd,
                  arena.allocateFrom("").address(),
                  AT_EMPTY_PATH,
                  STATX_INO,
                  statx.address(),
                  0);
      check(answer, state, "statx");
      return new long[] {
        statx.get(JAVA_INT, STATX_DEV_MAJOR_OFFSET),
        statx.get(JAVA_INT, STATX_DEV_MAJOR_OFFSET + 4),
        statx.get(JAVA_LONG, STATX_INO_OFFSET)
      };
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** mount(2), without data. */
  public static void mount(String source, String target, String type, long flags)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      int answer =
          (int)
              MOUNT.call(
                  state,
                  arena.allocateFrom(source).address(),
                  arena.allocateFrom(target).address(),
                  arena.allocateFrom(type).address(),
                  flags,
                  0,
                  0);
      check(answer, state, "mount on " + target);
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** umount2(2). */
  public static void umount2(String target, int flags) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      int answer = (int) UMOUNT2.call(state, arena.allocateFrom(target).address(), flags);
      check(answer, state, "unmount " + target);
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** flock(2). */
  public static void flock(int fd, int operation) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      check((int) FLOCK.call(state, fd, operation), state, "flock");
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** socket(2). */
  public static int socket(int domain, int type, int protocol) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      return check((int) SOCKET.call(state, domain, type, protocol), state, "socket");
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** bind(2). */
  public static void bind(int fd, MemorySegment address) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      check((int) BIND.call(state, fd, address.address(), address.byteSize()), state, "bind");
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** getsockname(2), into a segment of the right size. */
  public static void getsockname(int fd, MemorySegment address) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      MemorySegment length = arena.allocateFrom(JAVA_INT, (int) address.byteSize());
      check(
          (int) GETSOCKNAME.call(state, fd, address.address(), length.address()),
          state,
          "getsockname");
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** setsockopt(2). */
  public static void setsockopt(int fd, int level, int option, MemorySegment value)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      int answer =
          (int) SETSOCKOPT.call(state, fd, level, option, value.address(), value.byteSize(), 0);
      check(answer, state, "setsockopt");
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** sendto(2), without address. */
  public static long sendto(int fd, MemorySegment data) throws KernelException {
    return sendto(fd, data, MemorySegment.NULL);
  }

  /** sendto(2). */
  public static long sendto(int fd, MemorySegment data, MemorySegment address)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      long to = address.address();
      long sent =
          SENDTO.call(state, fd, data.address(), data.byteSize(), 0, to, address.byteSize());
      return check(sent, state, "send");
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /**
   * recvfrom(2). With MSG_TRUNC among the flags it returns the length that the datagram had, even
   * if the buffer was shorter.
   */
  public static long recvfrom(int fd, MemorySegment buffer, int flags, MemorySegment sender)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      MemorySegment length = arena.allocateFrom(JAVA_INT, (int) sender.byteSize());
      long received =
          RECVFROM.call(
              state,
              fd,
              buffer.address(),
              buffer.byteSize(),
              flags,
              sender.address(),
              length.address());
      return check(received, state, "receive");
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** read(2) of a descriptor that does not block: 0 if there is nothing to read. */
  public static long readNonBlocking(int fd, MemorySegment buffer) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      long length;
      do {
        length = READ.call(state, fd, buffer.address(), buffer.byteSize());
      } while (length < 0 && errno(state) == Errno.EINTR);
      boolean none = length < 0 && errno(state) == Errno.EAGAIN;
      return none ? 0 : check(length, state, "read");
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** inotify_init1(2). */
  public static int inotifyInit1(int flags) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      return check((int) INOTIFY_INIT1.call(state, flags), state, "inotify_init1");
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** inotify_add_watch(2). */
  public static void inotifyAddWatch(int fd, String path, int mask) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      int watch = (int) INOTIFY_ADD_WATCH.call(state, fd, arena.allocateFrom(path).address(), mask);
      check(watch, state, "watching " + path);
    } catch (Throwable t) {
      throw failure(t);
    }
  }

  /** strerror_r(3), the GNU one. */
  public static String strerror(int errno) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(256);
      long text = STRERROR.call(arena.allocate(STATE), errno, buffer.address(), buffer.byteSize());
      return MemorySegment.ofAddress(text).reinterpret(256).getString(0);
    } catch (Throwable t) {
      throw new AssertionError(t);
    }
  }

  static int check(int answer, MemorySegment state, String what) throws KernelException {
    return (int) check((long) answer, state, what);
  }

  static long check(long answer, MemorySegment state, String what) throws KernelException {
    if (answer < 0) {
      throw new KernelException(errno(state), what);
    }
    return answer;
  }

  /** The errno of the call that had this state. */
  static int errno(MemorySegment state) {
    return state.get(JAVA_INT, ERRNO_OFFSET);
  }

  /** What a method handle threw: our own exception, or a mistake in this class. */
  static KernelException failure(Throwable t) {
    if (t instanceof KernelException e) {
      return e;
    }
    throw t instanceof Error error ? error : new AssertionError(t);
  }
}
