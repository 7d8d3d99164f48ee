package cni.exec;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.netlink.ffm.NetNs;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * One run of an executable: started in a network namespace, given its input, read to its end and
 * gone afterwards, whatever it does.
 */
final class PluginProcess {
  /** A result takes a few kilobytes; a plugin that prints more than this is broken. */
  private static final int LONGEST_OUTPUT = 16 * 1024 * 1024;

  /** What is kept of the standard error. */
  private static final int LONGEST_DIAGNOSTICS = 64 * 1024;

  /** How long a process may go without its output being read; its end is noticed at once. */
  private static final long READ_MILLIS = 2;

  /** Someone is just writing the executable: the Go library waits five seconds too. */
  private static final String TEXT_FILE_BUSY = "error=26";

  private static final Duration BUSY_PATIENCE = Duration.ofSeconds(5);
  private static final long BUSY_PAUSE_MILLIS = 20;

  private final Path executable;
  private final Deadline deadline;
  private final Process process;
  private final Channel output;
  private final Channel diagnostics;

  private PluginProcess(Path executable, Deadline deadline, Process process) {
    this.executable = executable;
    this.deadline = deadline;
    this.process = process;
    this.output = new Channel(process.getInputStream(), LONGEST_OUTPUT);
    this.diagnostics = new Channel(process.getErrorStream(), LONGEST_DIAGNOSTICS);
  }

  /** What came of a run. */
  record Outcome(int status, String output, String diagnostics) {}

  /**
   * Runs an executable to its end.
   *
   * @param environment CNI_*; they replace those of this process, and the rest is inherited
   * @param namespace where it runs; absent for this process's own
   * @throws CniException code 11 if it is not done by the deadline or the thread is interrupted,
   *     code 5 if it cannot be started. Nothing of it is left running.
   */
  static Outcome run(
      Path executable,
      Map<String, String> environment,
      byte[] input,
      Optional<Path> namespace,
      Deadline deadline)
      throws CniException {
    deadline.check("running " + executable);
    ProcessBuilder builder = new ProcessBuilder(List.of(executable.toString()));
    builder.environment().keySet().removeIf(key -> key.startsWith("CNI_"));
    builder.environment().putAll(environment);
    Process process = start(builder, executable, namespace, deadline);
    var run = new PluginProcess(executable, deadline, process);
    try {
      run.write(input);
      run.awaitEnd();
      return new Outcome(process.exitValue(), run.output.text(), run.diagnostics.text());
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, executable + ": reading its output: " + e.getMessage(), e);
    } finally {
      run.close();
    }
  }

  private static Process start(
      ProcessBuilder builder, Path executable, Optional<Path> namespace, Deadline deadline)
      throws CniException {
    Deadline patience = Deadline.after(BUSY_PATIENCE);
    while (true) {
      try {
        return startIn(builder, namespace);
      } catch (IOException e) {
        boolean busy = String.valueOf(e.getMessage()).contains(TEXT_FILE_BUSY);
        if (!busy || patience.remaining().isZero()) {
          throw new CniException(
              ErrorCode.IO_FAILURE, executable + " cannot be run: " + e.getMessage(), e);
        }
      }
      deadline.check("running " + executable + ", which someone is writing");
      pause(executable);
    }
  }

  private static void pause(Path executable) throws CniException {
    try {
      Thread.sleep(BUSY_PAUSE_MILLIS);
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for " + executable + ", which someone is writing");
    }
  }

  /** A process is in the namespace of the thread that starts it. */
  private static Process startIn(ProcessBuilder builder, Optional<Path> namespace)
      throws IOException {
    if (namespace.isEmpty()) {
      return builder.start();
    }
    try (NetNs host = NetNs.open(namespace.get())) {
      return host.<Process, IOException>call(builder::start);
    }
  }

  /**
   * Writes the input on a thread of its own: a pipe takes 64 KiB, and more than that only as fast
   * as the process reads. A process that ends without reading is no error here; its status tells.
   */
  private void write(byte[] input) {
    OutputStream stdin = process.getOutputStream();
    Thread.ofPlatform()
        .daemon()
        .name("cni-exec-input")
        .start(
            () -> {
              try (stdin) {
                stdin.write(input);
              } catch (IOException e) {
                // EPIPE: it did not want to know
              }
            });
  }

  /**
   * Waits until the process itself has ended. Processes that it left behind may still hold its
   * pipes open, so their end is not waited for.
   */
  private void awaitEnd() throws CniException, IOException {
    boolean ended = false;
    while (!ended) {
      try {
        ended = process.waitFor(READ_MILLIS, TimeUnit.MILLISECONDS);
      } catch (InterruptedException e) {
        throw CniException.interrupted("running " + executable + ", which has been killed");
      }
      output.drain();
      diagnostics.drain();
      if (output.overflown()) {
        throw new CniException(
            ErrorCode.DECODING_FAILURE,
            executable + " printed more than " + LONGEST_OUTPUT + " bytes and has been killed");
      }
      if (!ended && deadline.remaining().isZero()) {
        throw new CniException(
            ErrorCode.TRY_AGAIN_LATER.value(),
            executable + " did not end by the deadline and has been killed",
            diagnostics.text().strip(),
            null);
      }
    }
  }

  /** Kills what is left, children first while they can still be found, and gives the pipes back. */
  private void close() {
    if (process.isAlive()) {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly();
      process.onExit().join();
    }
    output.close();
    diagnostics.close();
  }

  /**
   * One of the process's outputs, read without ever waiting for it: a read that waits could not be
   * ended where a grandchild holds the pipe.
   */
  private static final class Channel {
    private final InputStream stream;
    private final int limit;
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final byte[] buffer = new byte[8192];
    private boolean overflown;

    Channel(InputStream stream, int limit) {
      this.stream = stream;
      this.limit = limit;
    }

    /** Reads what is there. Past the limit it is thrown away, so that the process can go on. */
    void drain() throws IOException {
      // The stream's monitor keeps the JDK's reaper thread, which swaps the pipe for what is left
      // in
      // it when the process has ended, from doing so between the question and the read.
      synchronized (stream) {
        for (int there = stream.available(); there > 0; there = stream.available()) {
          int count = stream.read(buffer, 0, Math.min(there, buffer.length));
          if (count < 0) {
            return;
          }
          int room = Math.min(count, limit - bytes.size());
          bytes.write(buffer, 0, room);
          overflown |= room < count;
        }
      }
    }

    boolean overflown() {
      return overflown;
    }

    String text() {
      return bytes.toString(StandardCharsets.UTF_8);
    }

    void close() {
      try {
        stream.close();
      } catch (IOException e) {
        throw new UncheckedIOException(e); // closing a pipe does not fail
      }
    }
  }
}
