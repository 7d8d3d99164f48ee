// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.Flock;
import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.libc.LibcProcess;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * A child process in the namespaces of the thread that started it.
 *
 * <p>{@link java.lang.ProcessBuilder} is not used because it starts a thread to wait for the
 * process and reuses this thread for other processes. Such a thread would remain in the namespace
 * that it was started in. Here the caller's thread does all waiting, in {@link #communicate}. Not
 * thread-safe, except for {@link #terminate} and {@link #kill}.
 *
 * <p>If this process dies, the kernel kills the child and its process group ({@link
 * ParentDeathSignal}).
 */
public final class ChildProcess implements AutoCloseable {
  /** Bytes that a writable pipe accepts without blocking (linux/limits.h). */
  private static final int PIPE_BUF = 4096;

  /** The longest poll(2), after which the thread's interrupt status is checked. */
  private static final int POLL_MILLIS = 50;

  /** The same without a pidfd, when the end of the process does not wake poll(2). */
  private static final int POLL_MILLIS_WITHOUT_PIDFD = 2;

  private static final int CLOSED = -1;
  private static final int RUNNING = -1;

  /**
   * Held for reading while a process is started: until its execve(2) it has a copy of every
   * descriptor, also of those that others were given.
   */
  private static final ReadWriteLock STARTS = new ReentrantReadWriteLock();

  private final int pid;
  private final int signalTarget;
  private int pidfd;
  private final byte[] input;
  private final OutputPipe output;
  private final OutputPipe errorOutput;
  private int stdin;
  private int written;
  private volatile int status = RUNNING;
  private final ParentDeathSignal deathSignal;
  private boolean leftProcesses;

  private ChildProcess(
      int pid,
      int signalTarget,
      byte[] input,
      int[] pipeEnds,
      int limit,
      ParentDeathSignal deathSignal) {
    this.pid = pid;
    this.deathSignal = deathSignal;
    this.signalTarget = signalTarget;
    this.pidfd = LibcProcess.pidfdOpen(pid);
    this.input = input;
    this.stdin = pipeEnds[0];
    this.output = new OutputPipe(pipeEnds[1], limit);
    this.errorOutput = new OutputPipe(pipeEnds[2], limit);
  }

  /**
   * Starts a command with pipes for its standard streams, in the namespaces of the calling thread.
   * It gets its own process group, so that {@link #kill} reaches its children.
   *
   * @param command the executable, which is searched on the PATH if it has no slash, then its
   *     arguments
   * @param input its standard input
   * @param limit the number of bytes of each output that are kept; the rest is read and discarded
   * @throws KernelException if it cannot be started: ENOENT if there is no such executable
   */
  public static ChildProcess start(
      List<String> command, ChildEnvironment environment, byte[] input, int limit)
      throws KernelException {
    return start(command, environment, input, limit, Optional.empty());
  }

  /**
   * Starts a command as the other {@code start} does.
   *
   * @param lock a lock that the process inherits: it is held until the process has ended, even if
   *     this one dies before
   */
  public static ChildProcess start(
      List<String> command,
      ChildEnvironment environment,
      byte[] input,
      int limit,
      Optional<Flock> lock)
      throws KernelException {
    byte[] copy = input.clone();
    int[] childEnds = {CLOSED, CLOSED, CLOSED};
    int[] parentEnds = {CLOSED, CLOSED, CLOSED};
    boolean started = false;
    ParentDeathSignal deathSignal = ParentDeathSignal.open();
    try {
      for (int i = 0; i < 3; i++) {
        int[] pipe = LibcProcess.pipe2();
        childEnds[i] = i == 0 ? pipe[0] : pipe[1];
        parentEnds[i] = i == 0 ? pipe[1] : pipe[0];
      }
      int[] inherited =
          lock.isPresent()
              ? new int[] {deathSignal.childEnd(), lock.get().inheritableFd()}
              : new int[] {deathSignal.childEnd()};
      int pid = spawn(command, environment, childEnds, inherited, true);
      deathSignal.arm(-pid);
      started = true;
      return new ChildProcess(pid, -pid, copy, parentEnds, limit, deathSignal);
    } finally {
      closeAll(childEnds);
      if (!started) {
        closeAll(parentEnds);
        deathSignal.close();
      }
    }
  }

  /**
   * Starts a command that shares the standard streams and the terminal of this process, in the
   * namespaces of the calling thread. If this process dies, the kernel kills the command alone.
   *
   * @throws KernelException if it cannot be started: ENOENT if there is no such executable
   */
  public static ChildProcess startWithInheritedStdio(
      List<String> command, ChildEnvironment environment) throws KernelException {
    int[] noPipes = {CLOSED, CLOSED, CLOSED};
    ParentDeathSignal deathSignal = ParentDeathSignal.open();
    boolean started = false;
    try {
      int[] inherited = {deathSignal.childEnd()};
      int pid = spawn(command, environment, new int[0], inherited, false);
      deathSignal.arm(pid);
      started = true;
      return new ChildProcess(pid, pid, new byte[0], noPipes, 0, deathSignal);
    } finally {
      if (!started) {
        deathSignal.close();
      }
    }
  }

  private static int spawn(
      List<String> command,
      ChildEnvironment environment,
      int[] stdio,
      int[] inherited,
      boolean ownGroup)
      throws KernelException {
    STARTS.readLock().lock();
    try {
      return LibcProcess.spawn(
          command, environment.variables(), environment.directory(), stdio, inherited, ownGroup);
    } finally {
      STARTS.readLock().unlock();
    }
  }

  private static void closeAll(int[] fds) {
    for (int fd : fds) {
      if (fd != CLOSED) {
        Libc.close(fd);
      }
    }
  }

  /**
   * Writes the input and reads the outputs until the process has ended or the timeout expires. It
   * does not wait for the end of the pipes, which background processes may have inherited.
   *
   * @return whether the process has ended
   * @throws InterruptedException if the thread is interrupted
   * @throws KernelException if a pipe cannot be read
   */
  public boolean communicate(Duration timeout) throws InterruptedException, KernelException {
    long end = System.nanoTime() + timeout.toNanos();
    while (status == RUNNING) {
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      long left = Math.max(0, (end - System.nanoTime()) / 1_000_000);
      pollOnce((int) Math.min(left, pidfd < 0 ? POLL_MILLIS_WITHOUT_PIDFD : POLL_MILLIS));
      status = LibcProcess.waitpidNoHang(pid);
      if (status == RUNNING && end - System.nanoTime() <= 0) {
        return false;
      }
    }
    deathSignal.disarm();
    leftProcesses = isHeld() && isHeldAfterStarts();
    return true;
  }

  /** Reads what the ended process wrote, and returns whether others have its descriptors. */
  private boolean isHeld() throws KernelException {
    boolean more = true;
    while (more) {
      more = pollOnce(0);
    }
    return deathSignal.isHeld() || output.fd != CLOSED || errorOutput.fd != CLOSED;
  }

  /** Returns whether others have its descriptors that are not just being started. */
  private boolean isHeldAfterStarts() throws KernelException {
    STARTS.writeLock().lock();
    try {
      return isHeld();
    } finally {
      STARTS.writeLock().unlock();
    }
  }

  /**
   * Returns whether the process has ended and left others that it started, which go on with the
   * descriptors that they inherited from it. Daemons that have closed these are not noticed.
   */
  public boolean leftProcesses() {
    return leftProcesses;
  }

  /** Waits for any of the pipes or the end of the process, and returns whether it read a pipe. */
  private boolean pollOnce(int timeoutMillis) throws KernelException {
    int[] fds = {stdin, output.fd, errorOutput.fd, status == RUNNING ? pidfd : CLOSED};
    int[] events = {
      LibcProcess.POLLOUT, LibcProcess.POLLIN, LibcProcess.POLLIN, LibcProcess.POLLIN
    };
    short[] occurred = LibcProcess.poll(fds, events, timeoutMillis);
    if (occurred[0] != 0) {
      writeInput();
    }
    boolean read = occurred[1] != 0 && output.readAvailable();
    return (occurred[2] != 0 && errorOutput.readAvailable()) || read;
  }

  private void writeInput() {
    int length = Math.min(PIPE_BUF, input.length - written);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment part = arena.allocate(Math.max(1, length));
      MemorySegment.copy(input, written, part, JAVA_BYTE, 0, length);
      written += length == 0 ? 0 : LibcProcess.write(stdin, part.asSlice(0, length));
    } catch (KernelException e) {
      written = input.length; // EPIPE: the process has closed its input
    }
    if (written == input.length) {
      Libc.close(stdin);
      stdin = CLOSED;
    }
  }

  /** Returns what it has written to its standard output so far, decoded as UTF-8. */
  public String output() {
    return output.text();
  }

  /** Returns what it has written to its standard error so far, decoded as UTF-8. */
  public String errorOutput() {
    return errorOutput.text();
  }

  /** Returns whether it has written more to its standard output than is kept. */
  public boolean isOutputTruncated() {
    return output.truncated;
  }

  /** Returns its exit status; empty while it runs and if a signal terminated it. */
  public OptionalInt exitStatus() {
    return status != RUNNING && terminatingSignal() == 0
        ? OptionalInt.of((status >> 8) & 0xff)
        : OptionalInt.empty();
  }

  /** Returns the signal that terminated it; empty while it runs and if it exited. */
  public OptionalInt signal() {
    return status != RUNNING && terminatingSignal() != 0
        ? OptionalInt.of(terminatingSignal())
        : OptionalInt.empty();
  }

  /** WTERMSIG of sys/wait.h. */
  private int terminatingSignal() {
    return status & 0x7f;
  }

  /** Sends SIGTERM to its process group, or to it alone if it has inherited its group. */
  public void terminate() {
    signal(LibcProcess.SIGTERM);
  }

  /** Sends SIGKILL to its process group, or to it alone if it has inherited its group. */
  public void kill() {
    signal(LibcProcess.SIGKILL);
  }

  private void signal(int number) {
    if (status == RUNNING) { // the id is not reused before waitpid has reaped it
      try {
        LibcProcess.kill(signalTarget, number);
      } catch (KernelException e) {
        return; // ESRCH: it has ended
      }
    }
  }

  /** Kills the process if it still runs, reaps it, and closes the pipes. */
  @Override
  public void close() {
    boolean interrupted = false;
    try {
      while (status == RUNNING) {
        interrupted |= Thread.interrupted();
        kill();
        try {
          communicate(Duration.ofMillis(POLL_MILLIS));
        } catch (InterruptedException e) {
          interrupted = true; // the process must be reaped nevertheless
        }
      }
    } catch (KernelException e) {
      throw new AssertionError(e); // its own child and its own pipes cannot fail
    } finally {
      closeAll(new int[] {stdin, output.fd, errorOutput.fd, pidfd});
      deathSignal.close();
      stdin = CLOSED;
      output.fd = CLOSED;
      errorOutput.fd = CLOSED;
      pidfd = CLOSED;
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** The pipe of standard output or standard error, and what was read from it. */
  private static final class OutputPipe {
    private static final int BUFFER_SIZE = 16 * 1024;

    private final int limit;
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private int fd;
    private boolean truncated;

    OutputPipe(int fd, int limit) {
      this.fd = fd;
      this.limit = limit;
    }

    /** Reads once from a readable pipe; returns false, and closes it, at its end. */
    boolean readAvailable() throws KernelException {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment buffer = arena.allocate(BUFFER_SIZE);
        int count = LibcProcess.read(fd, buffer);
        if (count == 0) {
          Libc.close(fd);
          fd = CLOSED;
          return false;
        }
        int kept = Math.min(count, limit - bytes.size());
        bytes.write(buffer.asSlice(0, kept).toArray(JAVA_BYTE), 0, kept);
        truncated |= kept < count;
        return true;
      }
    }

    String text() {
      return bytes.toString(StandardCharsets.UTF_8);
    }
  }
}
