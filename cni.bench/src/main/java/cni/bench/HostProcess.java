// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A resident host, {@code cni serve}, with a socket of its own. */
final class HostProcess implements AutoCloseable {
  private static final double KIB_PER_MIB = 1024;
  private static final long START_TIMEOUT_NANOS = TimeUnit.SECONDS.toNanos(30);
  private static final long POLL_MILLIS = 10;

  private final Process process;
  private final Path socket;
  private final OptionalDouble readyMillis;

  private HostProcess(Process process, Path socket, OptionalDouble readyMillis) {
    this.process = process;
    this.socket = socket;
    this.readyMillis = readyMillis;
  }

  /** Returns whether the image has the command. */
  static boolean isSupportedBy(Path image) throws IOException, InterruptedException {
    return ExternalCommand.of(command(image), "--help")
        .run()
        .lines()
        .anyMatch(it -> it.strip().startsWith("serve "));
  }

  /**
   * Starts a host and waits until it serves requests.
   *
   * @param program the executable of bench/callers.c
   * @param directory for the sockets and the host's output
   */
  static HostProcess start(Path image, Path program, Path directory) throws Exception {
    Path socket = directory.resolve("host.sock");
    Path notifications = directory.resolve("notify.sock");
    Path log = directory.resolve("host.log");
    Process listener =
        new ProcessBuilder(program.toString(), "--ready", notifications.toString()).start();
    try (BufferedReader events = listener.inputReader(UTF_8)) {
      if (!"listening".equals(events.readLine())) {
        throw new IOException("bench/callers.c does not listen at " + notifications);
      }
      var builder =
          new ProcessBuilder(command(image), "serve")
              .redirectErrorStream(true)
              .redirectOutput(log.toFile());
      builder.environment().putAll(environment(socket.toString()));
      builder.environment().put("NOTIFY_SOCKET", notifications.toString());
      long start = System.nanoTime();
      Process process = builder.start();
      // It does not end with this process.
      Runtime.getRuntime().addShutdownHook(new Thread(process::destroy));
      OptionalDouble ready = OptionalDouble.empty();
      if ("ready".equals(events.readLine())) {
        ready = OptionalDouble.of((System.nanoTime() - start) / 1e6);
      }
      var host = new HostProcess(process, socket, ready);
      host.awaitStatus(image, start + START_TIMEOUT_NANOS, log);
      return host;
    } finally {
      listener.destroy();
    }
  }

  private void awaitStatus(Path image, long deadline, Path log) throws Exception {
    while (!Files.exists(socket) || !answersStatus(image)) {
      if (!process.isAlive() || System.nanoTime() > deadline) {
        close();
        throw new IOException("the resident host does not serve: " + Files.readString(log));
      }
      Thread.sleep(POLL_MILLIS);
    }
  }

  private boolean answersStatus(Path image) throws InterruptedException {
    try {
      ExternalCommand.of(command(image), "serve", "--status")
          .withEnvironment(environment(socket.toString()))
          .run();
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private static String command(Path image) {
    return image.resolve("bin/cni").toString();
  }

  private static Map<String, String> environment(String socket) {
    return Map.of("CNI_HOST_SOCKET", socket);
  }

  /** Returns the path for callers to connect to. */
  Path socket() {
    return socket;
  }

  /** Returns the time from the start to READY=1 of sd_notify(3), if the host has reported it. */
  OptionalDouble readyMillis() {
    return readyMillis;
  }

  /** Returns the resident set, VmRSS of proc_pid_status(5), in MiB. */
  double residentSetMib() throws IOException {
    return statusNumber(Path.of("/proc", pid(), "status"), "VmRSS") / KIB_PER_MIB;
  }

  /** Returns how often each present thread has waited and been woken, by its number. */
  Map<String, Long> wakeUps() throws IOException {
    Map<String, Long> wakeUps = new HashMap<>();
    try (Stream<Path> threads = Files.list(Path.of("/proc", pid(), "task"))) {
      for (Path thread : threads.toList()) {
        wakeUps.put(
            thread.toString(), statusNumber(thread.resolve("status"), "voluntary_ctxt_switches"));
      }
    }
    return wakeUps;
  }

  private String pid() {
    return String.valueOf(process.pid());
  }

  /** Returns a number of a status file; 0 if the thread has ended. */
  private static long statusNumber(Path file, String key) throws IOException {
    try {
      for (String line : Files.readAllLines(file)) {
        if (line.startsWith(key + ":")) {
          return Long.parseLong(line.substring(key.length() + 1).strip().split(" ", 2)[0]);
        }
      }
    } catch (NoSuchFileException e) {
      return 0;
    }
    throw new IOException(file + " has no " + key);
  }

  /** Stops the host. */
  @Override
  public void close() {
    process.destroy();
    ExternalCommand.awaitExit(process);
  }
}
