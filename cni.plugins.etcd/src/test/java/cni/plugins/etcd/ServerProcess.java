// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/**
 * A process that never outlives this JVM: a shutdown hook ends it, and the kernel kills it if this
 * JVM is killed.
 */
final class ServerProcess {
  private static final long KILL_TIMEOUT_SECONDS = 10;

  private static final Set<Process> RUNNING = ConcurrentHashMap.newKeySet();

  /**
   * Starts all processes. The kernel sends the signal of prctl(PR_SET_PDEATHSIG) when the thread
   * that started the process ends, hence this thread lives as long as the JVM.
   */
  private static final ExecutorService LAUNCHER =
      Executors.newSingleThreadExecutor(
          Thread.ofPlatform().daemon().name("etcd launcher").factory());

  static {
    Runtime.getRuntime()
        .addShutdownHook(new Thread(() -> RUNNING.forEach(Process::destroyForcibly)));
  }

  private final Process process;

  private ServerProcess(Process process) {
    this.process = process;
  }

  /**
   * Starts a command.
   *
   * @param prefix the command that runs it, such as {@code ip netns exec NAME}; may be empty
   * @param output the file that its standard output and standard error are appended to
   */
  static ServerProcess start(List<String> prefix, List<String> command, Path output)
      throws IOException, InterruptedException {
    List<String> arguments = new ArrayList<>(prefix);
    arguments.addAll(List.of("setpriv", "--pdeathsig", "KILL"));
    arguments.addAll(command);
    ProcessBuilder builder =
        new ProcessBuilder(arguments)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.appendTo(output.toFile()));
    builder.environment().keySet().removeIf(name -> name.startsWith("ETCD"));
    try {
      return LAUNCHER.submit(() -> start(builder)).get();
    } catch (ExecutionException e) {
      throw new IOException("cannot start " + arguments, e);
    }
  }

  private static ServerProcess start(ProcessBuilder builder) throws IOException {
    Process process = builder.start();
    process.getOutputStream().close();
    RUNNING.add(process);
    return new ServerProcess(process);
  }

  long pid() {
    return process.pid();
  }

  boolean isAlive() {
    return process.isAlive();
  }

  /** Sends SIGKILL, which a stopped process obeys too, and waits for the end. */
  void kill() {
    process.destroyForcibly();
    boolean interrupted = Thread.interrupted();
    try {
      if (!process.waitFor(KILL_TIMEOUT_SECONDS, TimeUnit.SECONDS)) {
        throw new AssertionError("process " + process.pid() + " survives SIGKILL");
      }
    } catch (InterruptedException e) {
      interrupted = true;
    } finally {
      RUNNING.remove(process);
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /**
   * Sends a signal.
   *
   * @param name its name without SIG
   */
  void signal(String name) throws IOException, InterruptedException {
    if (!process.isAlive()) {
      throw new IOException("process " + process.pid() + " has ended");
    }
    int status =
        new ProcessBuilder("kill", "-" + name, Long.toString(process.pid()))
            .inheritIO()
            .start()
            .waitFor();
    if (status != 0) {
      throw new IOException("kill -" + name + ": exit status " + status);
    }
  }
}
