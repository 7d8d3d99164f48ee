// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.libc;

import static cni.netlink.ffm.libc.CFunction.pointer;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import cni.netlink.ffm.KernelException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;

/** Files, namespaces, mounts, locks, sockets and inotify; see the package for what they share. */
public final class Libc {
  // fcntl.h
  public static final int O_RDONLY = 0;
  public static final int O_RDWR = 2;
  public static final int O_CREAT = 0x40;
  public static final int O_EXCL = 0x80;
  public static final int O_NONBLOCK = 0x800;
  public static final int O_DIRECTORY = 0x10000;
  public static final int O_NOFOLLOW = 0x20000;
  public static final int O_CLOEXEC = 0x80000;
  private static final int AT_EMPTY_PATH = 0x1000;
  private static final int F_SETFD = 2;
  private static final int FD_CLOEXEC = 1;
  private static final int F_DUPFD_CLOEXEC = 1030;
  private static final int F_OFD_GETLK = 36;
  private static final int F_OFD_SETLK = 37;
  private static final short F_RDLCK = 0;
  private static final short F_WRLCK = 1;
  private static final short F_UNLCK = 2;
  private static final long FLOCK_SIZE = 32;
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
  public static final int LOCK_UN = 8;
  // sys/socket.h
  public static final int SOCK_DGRAM = 2;
  public static final int SOCK_RAW = 3;
  public static final int SOCK_CLOEXEC = 0x80000;
  public static final int SOL_SOCKET = 1;
  public static final int MSG_TRUNC = 0x20;
  public static final int MSG_DONTWAIT = 0x40;
  private static final int SO_RCVTIMEO = 20;
  private static final int SO_SNDTIMEO = 21;
  // sys/stat.h: struct statx
  private static final int STATX_TYPE = 0x1;
  private static final int STATX_INO = 0x100;
  private static final int STATX_SIZE = 256;
  private static final int STATX_MODE_OFFSET = 28;
  private static final int STATX_INO_OFFSET = 32;
  private static final int STATX_DEV_MAJOR_OFFSET = 136;

  private static final int S_IFMT = 0170000;
  private static final int S_IFREG = 0100000;

  private static final int MAX_ERROR_TEXT = 256;

  private static final CFunction OPEN = CFunction.returningInt("open");
  private static final CFunction CLOSE = CFunction.returningInt("close");
  private static final CFunction DUP2 = CFunction.returningInt("dup2");
  private static final CFunction SETNS = CFunction.returningInt("setns");
  private static final CFunction UNSHARE = CFunction.returningInt("unshare");
  private static final CFunction IOCTL = CFunction.returningInt("ioctl");
  private static final CFunction STATX = CFunction.returningInt("statx");
  private static final CFunction MOUNT = CFunction.returningInt("mount");
  private static final CFunction UMOUNT2 = CFunction.returningInt("umount2");
  private static final CFunction FLOCK = CFunction.returningInt("flock");
  private static final CFunction FCNTL = CFunction.returningInt("fcntl");
  private static final CFunction SOCKET = CFunction.returningInt("socket");
  private static final CFunction BIND = CFunction.returningInt("bind");
  private static final CFunction GETSOCKNAME = CFunction.returningInt("getsockname");
  private static final CFunction SETSOCKOPT = CFunction.returningInt("setsockopt");
  private static final CFunction SENDTO = CFunction.returningLong("sendto");
  private static final CFunction RECVFROM = CFunction.returningLong("recvfrom");
  private static final CFunction READ = CFunction.returningLong("read");
  private static final CFunction INOTIFY_INIT1 = CFunction.returningInt("inotify_init1");
  private static final CFunction INOTIFY_ADD_WATCH = CFunction.returningInt("inotify_add_watch");
  private static final CFunction INOTIFY_RM_WATCH = CFunction.returningInt("inotify_rm_watch");
  private static final CFunction STRERROR_R = CFunction.returningLong("strerror_r");

  private Libc() {}

  /** open(2). */
  public static int open(String path, int flags, int mode) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      long name = pointer(arena.allocateFrom(path));
      return (int) OPEN.invoke(arena, "open " + path, name, flags, mode);
    }
  }

  /** close(2). Errors are ignored: Linux releases the descriptor whatever it returns. */
  public static void close(int fd) {
    try (Arena arena = Arena.ofConfined()) {
      long _ = CLOSE.call(arena.allocate(CFunction.ERRNO), fd, 0, 0);
    }
  }

  /** dup2(2). */
  public static void dup2(int fd, int newFd) throws KernelException {
    DUP2.invoke("dup2", fd, newFd);
  }

  /** fcntl(2) with F_DUPFD_CLOEXEC: another descriptor of the same open file. */
  public static int duplicate(int fd) throws KernelException {
    return (int) FCNTL.invoke("fcntl F_DUPFD_CLOEXEC", fd, F_DUPFD_CLOEXEC, 0);
  }

  /** fcntl(2) with F_SETFD: closes the descriptor in executables that this process starts. */
  public static void setCloseOnExec(int fd) throws KernelException {
    FCNTL.invoke("fcntl F_SETFD", fd, F_SETFD, FD_CLOEXEC);
  }

  /** setns(2), for a network namespace. */
  public static void setns(int fd) throws KernelException {
    SETNS.invoke("setns to a network namespace", fd, CLONE_NEWNET);
  }

  /** unshare(2). */
  public static void unshare(int flags) throws KernelException {
    UNSHARE.invoke("unshare", flags);
  }

  /**
   * ioctl(2), for a request whose argument is a number; 0 if it has none.
   *
   * @param operation the beginning of the message of an exception
   */
  public static int ioctl(int fd, long request, long argument, String operation)
      throws KernelException {
    return (int) IOCTL.invoke(operation, fd, request, argument);
  }

  /** ioctl(2), for a request whose argument is a structure. */
  public static void ioctl(int fd, long request, MemorySegment argument, String operation)
      throws KernelException {
    IOCTL.invoke(operation, fd, request, pointer(argument));
  }

  /** statx(2) of an open descriptor: whether it is a regular file. */
  public static boolean isRegularFile(int fd) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      int mode = statx(arena, fd, STATX_TYPE).get(JAVA_SHORT, STATX_MODE_OFFSET);
      return (mode & S_IFMT) == S_IFREG;
    }
  }

  /** Calls statx(2) for an open descriptor and returns the structure. */
  private static MemorySegment statx(Arena arena, int fd, int mask) throws KernelException {
    MemorySegment statx = arena.allocate(STATX_SIZE, 8);
    long emptyPath = pointer(arena.allocateFrom(""));
    STATX.invoke(
        arena, "statx", fd, emptyPath, AT_EMPTY_PATH, mask, pointer(statx), /* unused */ 0);
    return statx;
  }

  /** statx(2) of an open descriptor: the major and minor number of the device, and the inode. */
  public static long[] statx(int fd) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment statx = statx(arena, fd, STATX_INO);
      return new long[] {
        statx.get(JAVA_INT, STATX_DEV_MAJOR_OFFSET),
        statx.get(JAVA_INT, STATX_DEV_MAJOR_OFFSET + 4),
        statx.get(JAVA_LONG, STATX_INO_OFFSET)
      };
    }
  }

  /** mount(2), without data. */
  public static void mount(String source, String target, String type, long flags)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      long from = pointer(arena.allocateFrom(source));
      long onto = pointer(arena.allocateFrom(target));
      long fstype = pointer(arena.allocateFrom(type));
      MOUNT.invoke(arena, "mount on " + target, from, onto, fstype, flags, 0, 0);
    }
  }

  /** umount2(2). */
  public static void umount2(String target, int flags) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      UMOUNT2.invoke(arena, "unmount " + target, pointer(arena.allocateFrom(target)), flags, 0);
    }
  }

  /** flock(2). */
  public static void flock(int fd, int operation) throws KernelException {
    FLOCK.invoke("flock", fd, operation);
  }

  /**
   * Takes a shared lock of an open file by F_OFD_SETLK, fcntl(2), which does not conflict with
   * flock(2). It lasts until no process has this open file any more.
   */
  public static void lockOpenFileShared(int fd) throws KernelException {
    openFileLock("fcntl F_OFD_SETLK", fd, F_OFD_SETLK, F_RDLCK);
  }

  /** Returns whether another open file has a lock by {@link #lockOpenFileShared} on the file. */
  public static boolean hasOpenFileLock(int fd) throws KernelException {
    return openFileLock("fcntl F_OFD_GETLK", fd, F_OFD_GETLK, F_WRLCK) != F_UNLCK;
  }

  /** Passes a struct flock for the whole file, and returns the type of lock in it afterwards. */
  private static short openFileLock(String operation, int fd, int command, short type)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment lock = arena.allocate(FLOCK_SIZE);
      lock.set(JAVA_SHORT, 0, type); // l_type; l_whence, l_start and l_len are 0
      FCNTL.invoke(operation, fd, command, pointer(lock));
      return lock.get(JAVA_SHORT, 0);
    }
  }

  /** socket(2). */
  public static int socket(int domain, int type, int protocol) throws KernelException {
    return (int) SOCKET.invoke("socket", domain, type, protocol);
  }

  /** bind(2). */
  public static void bind(int fd, MemorySegment address) throws KernelException {
    BIND.invoke("bind", fd, pointer(address), address.byteSize());
  }

  /** getsockname(2), into a segment of the size that this family's addresses have. */
  public static void getsockname(int fd, MemorySegment address) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment length = arena.allocateFrom(JAVA_INT, (int) address.byteSize());
      GETSOCKNAME.invoke(arena, "getsockname", fd, pointer(address), pointer(length));
    }
  }

  /** setsockopt(2), for an option whose value is a structure. */
  public static void setsockopt(int fd, int level, int option, MemorySegment value)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      setsockopt(arena, fd, level, option, value);
    }
  }

  /** setsockopt(2), for an option whose value is an {@code int}. */
  public static void setsockopt(int fd, int level, int option, int value) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      setsockopt(arena, fd, level, option, arena.allocateFrom(JAVA_INT, value));
    }
  }

  /**
   * setsockopt(2) of SO_RCVTIMEO: recvfrom(2) fails with EAGAIN after this time.
   *
   * @param timeout a zero or negative one counts as a microsecond, since the kernel takes zero for
   *     no timeout
   */
  public static void setReceiveTimeout(int fd, Duration timeout) throws KernelException {
    setTimeout(fd, SO_RCVTIMEO, timeout);
  }

  /** As {@link #setReceiveTimeout}, for SO_SNDTIMEO and sendto(2). */
  public static void setSendTimeout(int fd, Duration timeout) throws KernelException {
    setTimeout(fd, SO_SNDTIMEO, timeout);
  }

  private static void setTimeout(int fd, int option, Duration timeout) throws KernelException {
    long micros = Math.max(1, timeout.toNanos() / 1000);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment timeval = arena.allocateFrom(JAVA_LONG, micros / 1_000_000, micros % 1_000_000);
      setsockopt(arena, fd, SOL_SOCKET, option, timeval);
    }
  }

  private static void setsockopt(Arena arena, int fd, int level, int option, MemorySegment value)
      throws KernelException {
    long length = value.byteSize();
    SETSOCKOPT.invoke(arena, "setsockopt", fd, level, option, pointer(value), length, 0);
  }

  /** sendto(2), to the address that the socket has by default. */
  public static long sendto(int fd, MemorySegment data) throws KernelException {
    return sendto(fd, data, MemorySegment.NULL);
  }

  /** sendto(2), without flags. */
  public static long sendto(int fd, MemorySegment data, MemorySegment address)
      throws KernelException {
    long length = data.byteSize();
    return SENDTO.invoke(
        "send", fd, pointer(data), length, 0, pointer(address), address.byteSize());
  }

  /**
   * recvfrom(2). With MSG_TRUNC among the flags it returns the length that the datagram had, even
   * if that is more than the buffer holds.
   */
  public static long recvfrom(int fd, MemorySegment buffer, int flags, MemorySegment sender)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      long addressLength = pointer(arena.allocateFrom(JAVA_INT, (int) sender.byteSize()));
      long length = buffer.byteSize();
      return RECVFROM.invoke(
          arena, "receive", fd, pointer(buffer), length, flags, pointer(sender), addressLength);
    }
  }

  /** read(2) from a descriptor with O_NONBLOCK; 0 if there is nothing to read. */
  public static long readNonBlocking(int fd, MemorySegment buffer) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      long length =
          READ.invokeNonBlocking(arena, "read", fd, pointer(buffer), buffer.byteSize(), 0);
      return length == CFunction.WOULD_BLOCK ? 0 : length;
    }
  }

  /** inotify_init1(2). */
  public static int inotifyInit1(int flags) throws KernelException {
    return (int) INOTIFY_INIT1.invoke("inotify_init1", flags);
  }

  /** inotify_add_watch(2). */
  public static int inotifyAddWatch(int fd, String path, int mask) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      long name = pointer(arena.allocateFrom(path));
      return (int) INOTIFY_ADD_WATCH.invoke(arena, "watching " + path, fd, name, mask);
    }
  }

  /** inotify_rm_watch(2). The kernel may have removed the watch, with its directory. */
  public static void inotifyRmWatch(int fd, int wd) {
    try (Arena arena = Arena.ofConfined()) {
      long _ = INOTIFY_RM_WATCH.call(arena.allocate(CFunction.ERRNO), fd, wd, 0);
    }
  }

  /** strerror_r(3), the GNU variant, which returns the text. */
  @SuppressWarnings("restricted") // the length of the text is not known
  public static String strerror(int errno) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(MAX_ERROR_TEXT);
      MemorySegment captured = arena.allocate(CFunction.ERRNO);
      long text = STRERROR_R.call(captured, errno, pointer(buffer), buffer.byteSize());
      return MemorySegment.ofAddress(text).reinterpret(MAX_ERROR_TEXT).getString(0);
    }
  }
}
