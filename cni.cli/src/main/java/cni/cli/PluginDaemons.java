// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.PluginDaemon;
import cni.netlink.ffm.process.SystemdSocket;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The daemons of plugins that run in the resident host, each on a thread of its own. */
final class PluginDaemons implements AutoCloseable {
  private static final String NONE = "none";

  /** How long daemons may take to end: leases are written, renewals in progress end. */
  private static final Duration END_TIME = Duration.ofSeconds(10);

  /** How long a daemon may take until it listens. */
  private static final Duration START_TIME = Duration.ofSeconds(5);

  private final List<Thread> threads = new ArrayList<>();

  private PluginDaemons() {}

  /**
   * A daemon to run.
   *
   * @param arguments the arguments of its command line
   */
  record Specification(PluginDaemon daemon, List<String> arguments) {}

  /** Returns the daemon of a plugin type, if this image has one. */
  static Optional<PluginDaemon> find(String type) {
    return all().stream().filter(it -> it.type().equals(type)).findFirst();
  }

  /**
   * Parses the values of {@code --daemon}.
   *
   * @param values a plugin's type and its daemon's arguments each, separated by spaces, or "none";
   *     all daemons of the image, without arguments, if empty
   * @throws CniException code 4 if there is no such daemon, or an argument is invalid
   */
  static List<Specification> parse(List<String> values) throws CniException {
    if (values.isEmpty()) {
      return all().stream().map(it -> new Specification(it, List.of())).toList();
    }
    List<Specification> specifications = new ArrayList<>();
    for (String value : values) {
      List<String> words = Arrays.asList(value.strip().split("\\s+"));
      if (!words.equals(List.of(NONE))) {
        specifications.add(parse(value, words));
      }
    }
    return specifications;
  }

  private static Specification parse(String value, List<String> words) throws CniException {
    Optional<PluginDaemon> daemon = find(words.getFirst());
    if (daemon.isEmpty()) {
      Stream<String> types = all().stream().map(PluginDaemon::type).sorted();
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "--daemon \"%s\": there is no such daemon; allowed: %s"
              .formatted(
                  value, Stream.concat(types, Stream.of(NONE)).collect(Collectors.joining(", "))));
    }
    List<String> arguments = words.subList(1, words.size());
    try {
      daemon.get().requireValid(arguments);
    } catch (CniException e) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER, "--daemon \"%s\": %s".formatted(value, e.getMessage()), e);
    }
    return new Specification(daemon.get(), arguments);
  }

  private static List<PluginDaemon> all() {
    return ServiceLoader.load(PluginDaemon.class).stream()
        .map(ServiceLoader.Provider::get)
        .toList();
  }

  /** Starts daemons. One that cannot serve, because another process does, is reported. */
  static PluginDaemons start(List<Specification> specifications) {
    var daemons = new PluginDaemons();
    specifications.forEach(it -> daemons.start(it.daemon(), it.arguments()));
    return daemons;
  }

  private void start(PluginDaemon daemon, List<String> arguments) {
    Runnable run =
        () -> {
          try {
            daemon.run(arguments);
          } catch (CniException | RuntimeException e) {
            System.err.println(
                "cni: the host runs without the daemon of %s: %s"
                    .formatted(daemon.type(), e.getMessage()));
          }
        };
    threads.add(Thread.ofPlatform().daemon().name("cni-" + daemon.type() + "-daemon").start(run));
  }

  /**
   * Reports sockets that the service manager has passed and nothing serves, once the daemons have
   * had time to take theirs.
   */
  void warnOfUnusedSockets() throws IOException {
    if (!SystemdSocket.untaken().isEmpty()) {
      Runnable warn = PluginDaemons::warnAfterStartTime;
      threads.add(Thread.ofPlatform().daemon().name("cni-unused-sockets").start(warn));
    }
  }

  private static void warnAfterStartTime() {
    try {
      Thread.sleep(START_TIME);
      for (String unused : SystemdSocket.untaken()) {
        System.err.println(
            "cni: nothing serves a socket that the service manager passed: " + unused);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt(); // the host ends
    } catch (IOException e) {
      throw new UncheckedIOException(e); // LISTEN_FDS is valid: it has been read before
    }
  }

  /** Ends the daemons. Reports those that have not ended in time. */
  @Override
  public void close() {
    threads.forEach(Thread::interrupt);
    long end = System.nanoTime() + END_TIME.toNanos();
    try {
      for (Thread thread : threads) {
        if (!thread.join(Duration.ofNanos(Math.max(1, end - System.nanoTime())))) {
          System.err.println("cni: " + thread.getName() + " has not ended");
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    threads.clear();
  }
}
