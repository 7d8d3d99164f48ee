package cni.netlink.ffm.libc;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.process.ChildEnvironment;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;

/** The functions of the C library that start a process, talk to it and see it end. */
public final class LibcProcess {
  // signal.h
  public static final int SIGTERM = 15;
  public static final int SIGKILL = 9;
  // poll.h
  public static final int POLLIN = 0x001;
  public static final int POLLOUT = 0x004;

  // spawn.h
  private static final short POSIX_SPAWN_SETPGROUP = 0x02;
  private static final short POSIX_SPAWN_SETSIGMASK = 0x08;

  /** More than posix_spawnattr_t and posix_spawn_file_actions_t take in any C library. */
  private static final int SPAWN_OBJECT = 512;

  /** sizeof(sigset_t), of which all zero is the empty set. */
  private static final int SIGSET = 128;

  /** struct pollfd: fd s32, events s16, revents s16. */
  private static final int POLLFD = 8;

  /** pidfd_open(2), asm-generic/unistd.h; newer than the wrappers of most C libraries. */
  private static final long SYS_PIDFD_OPEN = 434;

  private static final int WNOHANG = 1;

  private static final CFunction PIPE2 = CFunction.of("pipe2");
  private static final CFunction READ = CFunction.of("read");
  private static final CFunction WRITE = CFunction.of("write");
  private static final CFunction POLL = CFunction.of("poll");
  private static final CFunction KILL = CFunction.of("kill");
  private static final CFunction WAITPID = CFunction.of("waitpid");
  private static final CFunction SYSCALL = CFunction.of("syscall");
  private static final CFunction SPAWN = CFunction.of("posix_spawnp");
  private static final CFunction ATTR_INIT = CFunction.of("posix_spawnattr_init");
  private static final CFunction ATTR_SETFLAGS = CFunction.of("posix_spawnattr_setflags");
  private static final CFunction ATTR_SETSIGMASK = CFunction.of("posix_spawnattr_setsigmask");
  private static final CFunction ACTIONS_INIT = CFunction.of("posix_spawn_file_actions_init");
  private static final CFunction ACTIONS_DUP2 = CFunction.of("posix_spawn_file_actions_adddup2");
  private static final CFunction ACTIONS_DESTROY = CFunction.of("posix_spawn_file_actions_destroy");

  /** Absent before glibc 2.34; then only what is marked close-on-exec is closed. */
  private static final Optional<CFunction> ACTIONS_CLOSEFROM =
      CFunction.find("posix_spawn_file_actions_addclosefrom_np");

  private LibcProcess() {}

  /** pipe2(2), closed on exec: the end to read from, the end to write to. */
  public static int[] pipe2() throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Libc.STATE);
      MemorySegment ends = arena.allocate(JAVA_INT, 2);
      Libc.check((int) PIPE2.call(state, ends.address(), Libc.O_CLOEXEC), state, "pipe2");
      return ends.toArray(JAVA_INT);
    } catch (Throwable t) {
      throw Libc.failure(t);
    }
  }

  /** read(2); 0 at the end. */
  public static int read(int fd, MemorySegment buffer) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Libc.STATE);
      long count = READ.call(state, fd, buffer.address(), buffer.byteSize());
      return (int) Libc.check(count, state, "read");
    } catch (Throwable t) {
      throw Libc.failure(t);
    }
  }

  /** write(2). */
  public static int write(int fd, MemorySegment data) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Libc.STATE);
      long count = WRITE.call(state, fd, data.address(), data.byteSize());
      return (int) Libc.check(count, state, "write");
    } catch (Throwable t) {
      throw Libc.failure(t);
    }
  }

  /**
   * poll(2). Negative descriptors are passed over.
   *
   * @param events what is waited for, in the order of the descriptors
   * @return what happened, in the same order; all zero if nothing did, or a signal came
   */
  public static short[] poll(int[] fds, int[] events, int timeoutMillis) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Libc.STATE);
      MemorySegment set = arena.allocate((long) POLLFD * fds.length, 4);
      for (int i = 0; i < fds.length; i++) {
        set.set(JAVA_INT, (long) POLLFD * i, fds[i]);
        set.set(JAVA_SHORT, (long) POLLFD * i + 4, (short) events[i]);
      }
      int answer = (int) POLL.call(state, set.address(), fds.length, timeoutMillis);
      short[] happened = new short[fds.length];
      if (answer < 0 && Libc.errno(state) == Errno.EINTR) {
        return happened;
      }
      Libc.check(answer, state, "poll");
      for (int i = 0; i < fds.length; i++) {
        happened[i] = set.get(JAVA_SHORT, (long) POLLFD * i + 6);
      }
      return happened;
    } catch (Throwable t) {
      throw Libc.failure(t);
    }
  }

  /** kill(2); a negative number means a group. */
  public static void kill(int pid, int signal) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Libc.STATE);
      Libc.check((int) KILL.call(state, pid, signal), state, "kill " + pid);
    } catch (Throwable t) {
      throw Libc.failure(t);
    }
  }

  /** waitpid(2) without waiting: the status, or -1 while the process runs. */
  public static int waitpidNoHang(int pid) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Libc.STATE);
      MemorySegment status = arena.allocate(JAVA_INT);
      int answer = (int) WAITPID.call(state, pid, status.address(), WNOHANG);
      return Libc.check(answer, state, "waitpid " + pid) == 0 ? -1 : status.get(JAVA_INT, 0);
    } catch (Throwable t) {
      throw Libc.failure(t);
    }
  }

  /** pidfd_open(2); -1 where the kernel (before 5.3) or a filter does not let us. */
  public static int pidfdOpen(int pid) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Libc.STATE);
      return (int) SYSCALL.call(state, SYS_PIDFD_OPEN, pid, 0);
    } catch (Throwable t) {
      throw new AssertionError(t);
    }
  }

  /**
   * posix_spawnp(3), which looks for a command without slash on the PATH: with no signals blocked
   * and no descriptors open but the first three.
   *
   * @param stdio what become standard input, output and error; empty to inherit them
   * @param ownGroup whether it is put into a process group of its own
   * @return the process's id
   */
  public static int spawn(
      List<String> command, ChildEnvironment environment, int[] stdio, boolean ownGroup)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Libc.STATE);
      MemorySegment attributes = arena.allocate(SPAWN_OBJECT, 16);
      MemorySegment actions = arena.allocate(SPAWN_OBJECT, 16);
      int flags = POSIX_SPAWN_SETSIGMASK | (ownGroup ? POSIX_SPAWN_SETPGROUP : 0);
      requireSuccess(ATTR_INIT.call(state, attributes.address()));
      requireSuccess(ATTR_SETFLAGS.call(state, attributes.address(), flags));
      requireSuccess(
          ATTR_SETSIGMASK.call(state, attributes.address(), arena.allocate(SIGSET, 8).address()));
      requireSuccess(ACTIONS_INIT.call(state, actions.address()));
      for (int i = 0; i < stdio.length; i++) {
        requireSuccess(ACTIONS_DUP2.call(state, actions.address(), stdio[i], i));
      }
      if (ACTIONS_CLOSEFROM.isPresent()) {
        requireSuccess(ACTIONS_CLOSEFROM.get().call(state, actions.address(), 3));
      }
      MemorySegment pid = arena.allocate(JAVA_INT);
      int error =
          (int)
              SPAWN.call(
                  state,
                  pid.address(),
                  arena.allocateFrom(command.getFirst()).address(),
                  actions.address(),
                  attributes.address(),
                  stringArray(arena, command.stream().map(LibcProcess::utf8).toList()).address(),
                  stringArray(arena, environment.variables()).address());
      long ignored = ACTIONS_DESTROY.call(state, actions.address());
      if (error != 0) {
        throw new KernelException(error, command.getFirst() + " cannot be run");
      }
      return pid.get(JAVA_INT, 0);
    } catch (Throwable t) {
      throw Libc.failure(t);
    }
  }

  /** These functions return an error number, which can only be ENOMEM or a mistake of ours. */
  private static void requireSuccess(long error) throws KernelException {
    if ((int) error != 0) {
      throw new KernelException((int) error, "preparing posix_spawn");
    }
  }

  /** A {@code char *[]} that ends with a null pointer. */
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
