package cni.netlink.ffm.process;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.libc.LibcProcess;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.OptionalInt;

/**
 * A process that belongs to the namespaces of the thread that started it.
 *
 * <p>Why not {@link java.lang.ProcessBuilder}: it also starts a thread that waits for the process
 * and then for others, and that thread would stay in the namespace in which the process was
 * started. Here the caller's own thread does all the waiting, in {@link #communicate}. For one
 * thread at a time, but {@link #terminate} and {@link #kill} are for any.
 */
public final class ChildProcess implements AutoCloseable {
  /** A pipe that can be written to takes at least so much (PIPE_BUF of linux/limits.h). */
  private static final int PIPE_BUF = 4096;

  /** How long a wait goes on before the thread's interrupt is looked at. */
  private static final int POLL_MILLIS = 50;

  /** The same where the end of the process does not end the wait, for want of a pidfd. */
  private static final int POLL_MILLIS_WITHOUT_PIDFD = 2;

  private static final int CLOSED = -1;
  private static final int RUNNING = -1;

  private final int pid;
  private final int signalTarget;
  private int pidfd;
  private final byte[] input;
  private final OutputPipe output;
  private final OutputPipe errorOutput;
  private int stdin;
  private int written;
  private volatile int status = RUNNING;

  private ChildProcess(int pid, int signalTarget, byte[] input, int[] ours, int limit) {
    this.pid = pid;
    this.signalTarget = signalTarget;
    this.pidfd = LibcProcess.pidfdOpen(pid);
    this.input = input;
    this.stdin = ours[0];
    this.output = new OutputPipe(ours[1], limit);
    this.errorOutput = new OutputPipe(ours[2], limit);
  }

  /**
   * Starts a command whose input is given and whose output is kept. It is in a process group of its
   * own, so that {@link #kill} reaches its children.
   *
   * @param command the executable, which is looked for on the PATH if it has no slash, then its
   *     arguments
   * @param limit how many bytes of each output are kept; more is read and thrown away
   * @throws KernelException if it cannot be started; errno says why
   */
  public static ChildProcess start(
      List<String> command, ChildEnvironment environment, byte[] input, int limit)
      throws KernelException {
    byte[] given = input.clone();
    int[] theirs = {CLOSED, CLOSED, CLOSED};
    int[] ours = {CLOSED, CLOSED, CLOSED};
    boolean started = false;
    try {
      for (int i = 0; i < 3; i++) {
        int[] pipe = LibcProcess.pipe2();
        theirs[i] = i == 0 ? pipe[0] : pipe[1];
        ours[i] = i == 0 ? pipe[1] : pipe[0];
      }
      int pid = LibcProcess.spawn(command, environment, theirs, true);
      started = true;
      return new ChildProcess(pid, -pid, given, ours, limit);
    } finally {
      closeAll(theirs);
      if (!started) {
        closeAll(ours);
      }
    }
  }

  /**
   * Starts a command that has this process's input, output and terminal.
   *
   * @throws KernelException if it cannot be started; errno says why
   */
  public static ChildProcess startWithInheritedStdio(
      List<String> command, ChildEnvironment environment) throws KernelException {
    int pid = LibcProcess.spawn(command, environment, new int[0], false);
    return new ChildProcess(pid, pid, new byte[0], new int[] {CLOSED, CLOSED, CLOSED}, 0);
  }

  private static void closeAll(int[] fds) {
    for (int fd : fds) {
      if (fd != CLOSED) {
        Libc.close(fd);
      }
    }
  }

  /**
   * Gives it its input and takes its output until it has ended, but not for longer than that time.
   * What it left behind may still hold its pipes: their end is not waited for.
   *
   * @return whether it has ended
   * @throws InterruptedException if the thread is interrupted
   * @throws KernelException if a pipe cannot be read
   */
  public boolean communicate(Duration atMost) throws InterruptedException, KernelException {
    long end = System.nanoTime() + atMost.toNanos();
    while (status == RUNNING) {
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      long left = Math.max(0, (end - System.nanoTime()) / 1_000_000);
      int slice = (int) Math.min(left, pidfd < 0 ? POLL_MILLIS_WITHOUT_PIDFD : POLL_MILLIS);
      pollOnce(slice);
      status = LibcProcess.waitpidNoHang(pid);
      if (status == RUNNING && end - System.nanoTime() <= 0) {
        return false;
      }
    }
    // It has ended: what is in the pipes is all that there will be from it.
    boolean more = true;
    while (more) {
      more = pollOnce(0);
    }
    return true;
  }

  /** Waits until something can be done, and does it. */
  private boolean pollOnce(int timeoutMillis) throws KernelException {
    int[] fds = {stdin, output.fd, errorOutput.fd, status == RUNNING ? pidfd : CLOSED};
    int[] events = {
      LibcProcess.POLLOUT, LibcProcess.POLLIN, LibcProcess.POLLIN, LibcProcess.POLLIN
    };
    short[] happened = LibcProcess.poll(fds, events, timeoutMillis);
    if (happened[0] != 0) {
      writeInput();
    }
    boolean read = happened[1] != 0 && output.readAvailable();
    return (happened[2] != 0 && errorOutput.readAvailable()) || read;
  }

  private void writeInput() {
    int length = Math.min(PIPE_BUF, input.length - written);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment part = arena.allocate(Math.max(1, length));
      MemorySegment.copy(input, written, part, JAVA_BYTE, 0, length);
      written += length == 0 ? 0 : LibcProcess.write(stdin, part.asSlice(0, length));
    } catch (KernelException e) {
      written = input.length; // EPIPE: it does not want to know
    }
    if (written == input.length) {
      Libc.close(stdin);
      stdin = CLOSED;
    }
  }

  /** What it has printed so far. */
  public String output() {
    return output.text();
  }

  /** What it has printed to its standard error so far. */
  public String errorOutput() {
    return errorOutput.text();
  }

  /** Whether it printed more than is kept. */
  public boolean isOutputTruncated() {
    return output.truncated;
  }

  /** The status that it ended with; absent if it has not, or a signal ended it. */
  public OptionalInt exitStatus() {
    return status != RUNNING && terminatingSignal() == 0
        ? OptionalInt.of((status >> 8) & 0xff)
        : OptionalInt.empty();
  }

  /** The signal that ended it; absent if it has not ended, or by itself. */
  public OptionalInt signal() {
    return status != RUNNING && terminatingSignal() != 0
        ? OptionalInt.of(terminatingSignal())
        : OptionalInt.empty();
  }

  /** WTERMSIG of sys/wait.h. */
  private int terminatingSignal() {
    return status & 0x7f;
  }

  /** Asks it to end (SIGTERM). */
  public void terminate() {
    signal(LibcProcess.SIGTERM);
  }

  /** Ends it and the children that stayed in its process group (SIGKILL). */
  public void kill() {
    signal(LibcProcess.SIGKILL);
  }

  private void signal(int number) {
    if (status == RUNNING) { // its id is its own until waitpid has told its end
      try {
        LibcProcess.kill(signalTarget, number);
      } catch (KernelException e) {
        return; // ESRCH: it is ending by itself
      }
    }
  }

  /** Kills it if it still runs, and gives everything back. */
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
          interrupted = true; // it has to be waited for all the same
        }
      }
    } catch (KernelException e) {
      throw new AssertionError(e); // our own child and our own pipes
    } finally {
      closeAll(new int[] {stdin, output.fd, errorOutput.fd, pidfd});
      stdin = CLOSED;
      output.fd = CLOSED;
      errorOutput.fd = CLOSED;
      pidfd = CLOSED;
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** One of its outputs. */
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

    /** Reads what is there, of which there is something or the end. */
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
