// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.libc;

import static cni.netlink.ffm.libc.CFunction.pointer;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;

/** Processes, pipes and poll(2); see the package for what the methods share. */
public final class LibcProcess {
  // signal.h
  public static final int SIGTERM = 15;
  public static final int SIGKILL = 9;
  // poll.h
  public static final int POLLIN = 0x001;
  public static final int POLLOUT = 0x004;
  public static final int POLLERR = 0x008;
  // fcntl.h
  private static final int F_SETFL = 4;
  private static final int F_SETOWN = 8;
  private static final int F_SETSIG = 10;
  private static final int F_DUPFD_CLOEXEC = 1030;
  private static final int O_ASYNC = 0x2000;

  // spawn.h
  private static final short POSIX_SPAWN_SETPGROUP = 0x02;
  private static final short POSIX_SPAWN_SETSIGMASK = 0x08;

  /** At least sizeof(posix_spawnattr_t) and sizeof(posix_spawn_file_actions_t) of any libc. */
  private static final int SPAWN_OBJECT = 512;

  /** sizeof(sigset_t); the empty set is all zero. */
  private static final int SIGSET = 128;

  /** struct pollfd: fd s32, events s16, revents s16. */
  private static final int POLLFD = 8;

  /** pidfd_open(2) of asm-generic/unistd.h, for which many C libraries have no wrapper yet. */
  private static final long SYS_PIDFD_OPEN = 434;

  private static final int WNOHANG = 1;

  /** linux/prctl.h. */
  private static final int PR_SET_PDEATHSIG = 1;

  /** The first descriptor that is not one of the standard streams. */
  private static final int FIRST_INHERITED = 3;

  /**
   * Above every descriptor that a child inherits. What is duplicated in the child is not below:
   * another duplicate would overwrite it first, and dup2(2) onto its own number would leave
   * close-on-exec set (glibc before 2.29).
   */
  private static final int FIRST_ABOVE_INHERITED = 8;

  private static final CFunction PIPE2 = CFunction.returningInt("pipe2");
  private static final CFunction READ = CFunction.returningLong("read");
  private static final CFunction WRITE = CFunction.returningLong("write");
  private static final CFunction FCNTL = CFunction.returningInt("fcntl");
  private static final CFunction POLL = CFunction.returningInt("poll");
  private static final CFunction KILL = CFunction.returningInt("kill");
  private static final CFunction WAITPID = CFunction.returningInt("waitpid");
  private static final CFunction PRCTL = CFunction.returningInt("prctl");
  private static final CFunction GETPPID = CFunction.returningInt("getppid");
  private static final CFunction SYSCALL = CFunction.returningLong("syscall");
  private static final CFunction SPAWN = CFunction.returningInt("posix_spawnp");
  private static final CFunction ATTR_INIT = CFunction.returningInt("posix_spawnattr_init");
  private static final CFunction ATTR_SETFLAGS = CFunction.returningInt("posix_spawnattr_setflags");
  private static final CFunction ATTR_SETSIGMASK =
      CFunction.returningInt("posix_spawnattr_setsigmask");
  private static final CFunction ACTIONS_INIT =
      CFunction.returningInt("posix_spawn_file_actions_init");
  private static final CFunction ACTIONS_DUP2 =
      CFunction.returningInt("posix_spawn_file_actions_adddup2");
  private static final CFunction ACTIONS_DESTROY =
      CFunction.returningInt("posix_spawn_file_actions_destroy");

  /** Empty before glibc 2.34; then only descriptors with O_CLOEXEC are closed. */
  private static final Optional<CFunction> ACTIONS_CLOSEFROM =
      CFunction.find("posix_spawn_file_actions_addclosefrom_np");

  /** Empty before glibc 2.29; then a process stays in the directory of this one. */
  private static final Optional<CFunction> ACTIONS_CHDIR =
      CFunction.find("posix_spawn_file_actions_addchdir_np");

  private LibcProcess() {}

  /** pipe2(2) with O_CLOEXEC: the read end, then the write end. */
  public static int[] pipe2() throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment ends = arena.allocate(JAVA_INT, 2);
      PIPE2.invoke(arena, "pipe2", pointer(ends), Libc.O_CLOEXEC, 0);
      int[] pipe = ends.toArray(JAVA_INT);
      for (int i = 0; i < pipe.length; i++) {
        pipe[i] = moveUp(pipe[i]);
      }
      return pipe;
    }
  }

  /** Replaces a descriptor whose number a child's descriptors may have by a duplicate. */
  private static int moveUp(int fd) throws KernelException {
    int above = duplicateAbove(fd);
    if (above != fd) {
      Libc.close(fd);
    }
    return above;
  }

  /**
   * Returns a duplicate of a descriptor whose number a child's descriptors may have, and any other
   * descriptor itself.
   */
  private static int duplicateAbove(int fd) throws KernelException {
    return fd >= FIRST_ABOVE_INHERITED
        ? fd
        : (int) FCNTL.invoke("fcntl", fd, F_DUPFD_CLOEXEC, FIRST_ABOVE_INHERITED);
  }

  /**
   * fcntl(2): a signal for a process, or a process group if the number is negative, when the other
   * end of a pipe is closed; see O_ASYNC in open(2). It lasts until {@link #disableAsync} or until
   * no process has this end open.
   */
  public static void signalOwnerOnClose(int fd, int owner, int signal) throws KernelException {
    FCNTL.invoke("fcntl F_SETOWN", fd, F_SETOWN, owner);
    FCNTL.invoke("fcntl F_SETSIG", fd, F_SETSIG, signal);
    FCNTL.invoke("fcntl O_ASYNC", fd, F_SETFL, O_ASYNC);
  }

  /** fcntl(2): no signals any more. */
  public static void disableAsync(int fd) throws KernelException {
    FCNTL.invoke("fcntl O_ASYNC", fd, F_SETFL, 0);
  }

  /** read(2); 0 at the end of the file. */
  public static int read(int fd, MemorySegment buffer) throws KernelException {
    return (int) READ.invoke("read", fd, pointer(buffer), buffer.byteSize());
  }

  /** write(2). */
  public static int write(int fd, MemorySegment data) throws KernelException {
    return (int) WRITE.invoke("write", fd, pointer(data), data.byteSize());
  }

  /**
   * poll(2). The kernel ignores negative descriptors.
   *
   * @param events the events to wait for, in the order of the descriptors
   * @return the events that occurred, in the same order; all zero after the timeout or a signal
   */
  public static short[] poll(int[] fds, int[] events, int timeoutMillis) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment errno = arena.allocate(CFunction.ERRNO);
      MemorySegment set = arena.allocate((long) POLLFD * fds.length, 4);
      for (int i = 0; i < fds.length; i++) {
        set.set(JAVA_INT, (long) POLLFD * i, fds[i]);
        set.set(JAVA_SHORT, (long) POLLFD * i + 4, (short) events[i]);
      }
      short[] occurred = new short[fds.length];
      if (POLL.call(errno, pointer(set), fds.length, timeoutMillis) < 0) {
        if (CFunction.errno(errno) != Errno.EINTR) {
          throw new KernelException(CFunction.errno(errno), "poll");
        }
        return occurred;
      }
      for (int i = 0; i < fds.length; i++) {
        occurred[i] = set.get(JAVA_SHORT, (long) POLLFD * i + 6);
      }
      return occurred;
    }
  }

  /** kill(2); a negative number means a process group. */
  public static void kill(int pid, int signal) throws KernelException {
    KILL.invoke("kill " + pid, pid, signal);
  }

  /**
   * prctl(2) with PR_SET_PDEATHSIG: the signal that the kernel sends to this process when its
   * parent ends. It is forgotten when the calling thread ends.
   */
  public static void setParentDeathSignal(int signal) throws KernelException {
    PRCTL.invoke("prctl PR_SET_PDEATHSIG", PR_SET_PDEATHSIG, signal);
  }

  /** getppid(2). */
  public static int getppid() {
    try (Arena arena = Arena.ofConfined()) {
      return (int) GETPPID.call(arena.allocate(CFunction.ERRNO), 0, 0, 0);
    }
  }

  /** waitpid(2) with WNOHANG: the status, or -1 while the process runs. */
  public static int waitpidNoHang(int pid) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment status = arena.allocate(JAVA_INT);
      long reaped = WAITPID.invoke(arena, "waitpid " + pid, pid, pointer(status), WNOHANG);
      return reaped == 0 ? -1 : status.get(JAVA_INT, 0);
    }
  }

  /** pidfd_open(2); -1 if the kernel (before 5.3) or a seccomp filter does not allow it. */
  public static int pidfdOpen(int pid) {
    try (Arena arena = Arena.ofConfined()) {
      return (int) SYSCALL.call(arena.allocate(CFunction.ERRNO), SYS_PIDFD_OPEN, pid, 0);
    }
  }

  /**
   * posix_spawnp(3), which looks for a command without a slash on the PATH. The process has no
   * blocked signals and, from glibc 2.34, no open descriptors but the first three and the inherited
   * ones.
   *
   * @param environment its variables, each {@code NAME=value} without a terminating zero
   * @param directory its working directory; empty for that of this process
   * @param stdio what become standard input, output and error; empty to inherit them
   * @param inherited what become the descriptors from 3 on; at most five
   * @param ownGroup whether it gets its own process group
   * @return the process's id
   */
  public static int spawn(
      List<String> command,
      List<byte[]> environment,
      String directory,
      int[] stdio,
      int[] inherited,
      boolean ownGroup)
      throws KernelException {
    int[] above = new int[inherited.length];
    int moved = 0;
    try {
      for (; moved < above.length; moved++) {
        above[moved] = duplicateAbove(inherited[moved]);
      }
      return spawnWith(command, environment, directory, stdio, above, ownGroup);
    } finally {
      for (int i = 0; i < moved; i++) {
        if (above[i] != inherited[i]) {
          Libc.close(above[i]);
        }
      }
    }
  }

  /** Calls posix_spawnp(3); no descriptor is one of those that the child's get. */
  private static int spawnWith(
      List<String> command,
      List<byte[]> environment,
      String directory,
      int[] stdio,
      int[] inherited,
      boolean ownGroup)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment errno = arena.allocate(CFunction.ERRNO);
      long attributes = pointer(arena.allocate(SPAWN_OBJECT, 16));
      long actions = pointer(arena.allocate(SPAWN_OBJECT, 16));
      prepareAttributes(arena, errno, attributes, ownGroup);
      prepareActions(errno, actions, stdio, inherited);
      if (!directory.isEmpty() && ACTIONS_CHDIR.isPresent()) {
        long path = pointer(arena.allocateFrom(directory));
        requireSuccess(ACTIONS_CHDIR.get().call(errno, actions, path, 0));
      }
      MemorySegment pid = arena.allocate(JAVA_INT);
      int error =
          (int)
              SPAWN.call(
                  errno,
                  pointer(pid),
                  pointer(arena.allocateFrom(command.getFirst())),
                  actions,
                  attributes,
                  pointer(stringArray(arena, command.stream().map(LibcProcess::utf8).toList())),
                  pointer(stringArray(arena, environment)));
      long _ = ACTIONS_DESTROY.call(errno, actions, 0, 0);
      if (error != 0) {
        throw new KernelException(error, command.getFirst() + " cannot be run");
      }
      return pid.get(JAVA_INT, 0);
    }
  }

  private static void prepareAttributes(
      Arena arena, MemorySegment errno, long attributes, boolean ownGroup) throws KernelException {
    int flags = POSIX_SPAWN_SETSIGMASK | (ownGroup ? POSIX_SPAWN_SETPGROUP : 0);
    long noSignals = pointer(arena.allocate(SIGSET, 8));
    requireSuccess(ATTR_INIT.call(errno, attributes, 0, 0));
    requireSuccess(ATTR_SETFLAGS.call(errno, attributes, flags, 0));
    requireSuccess(ATTR_SETSIGMASK.call(errno, attributes, noSignals, 0));
  }

  private static void prepareActions(
      MemorySegment errno, long actions, int[] stdio, int[] inherited) throws KernelException {
    requireSuccess(ACTIONS_INIT.call(errno, actions, 0, 0));
    for (int i = 0; i < stdio.length; i++) {
      requireSuccess(ACTIONS_DUP2.call(errno, actions, stdio[i], i));
    }
    for (int i = 0; i < inherited.length; i++) {
      requireSuccess(ACTIONS_DUP2.call(errno, actions, inherited[i], FIRST_INHERITED + i));
    }
    if (ACTIONS_CLOSEFROM.isPresent()) {
      int firstClosed = FIRST_INHERITED + inherited.length;
      requireSuccess(ACTIONS_CLOSEFROM.get().call(errno, actions, firstClosed, 0));
    }
  }

  /** These functions return an error number: ENOMEM, unless the arguments are wrong. */
  private static void requireSuccess(long error) throws KernelException {
    if (error != 0) {
      throw new KernelException((int) error, "preparing posix_spawn");
    }
  }

  /** Allocates a {@code char *[]} that ends with a null pointer. */
  private static MemorySegment stringArray(Arena arena, List<byte[]> texts) {
    MemorySegment array = arena.allocate(ADDRESS, texts.size() + 1L);
    for (int i = 0; i < texts.size(); i++) {
      byte[] text = texts.get(i);
      MemorySegment copy = arena.allocate(text.length + 1L);
      MemorySegment.copy(text, 0, copy, JAVA_BYTE, 0, text.length);
      array.setAtIndex(ADDRESS, i, copy);
    }
    return array;
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
