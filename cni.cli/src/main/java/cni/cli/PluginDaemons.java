package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.PluginDaemon;
import cni.netlink.ffm.process.SystemdSocket;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;

/** The daemons of plugins that run in the resident host, each on a thread of its own. */
final class PluginDaemons implements AutoCloseable {
  private static final String NONE = "none";

  /** How long a daemon may take to end: its leases are written, renewals in progress end. */
  private static final Duration END_TIME = Duration.ofSeconds(20);

  private final List<Thread> threads = new ArrayList<>();

  private PluginDaemons() {}

  /** Returns the daemon of a plugin type, if this image has one. */
  static Optional<PluginDaemon> find(String type) {
    for (PluginDaemon candidate : ServiceLoader.load(PluginDaemon.class)) {
      if (candidate.type().equals(type)) {
        return Optional.of(candidate);
      }
    }
    return Optional.empty();
  }

  /**
   * Starts daemons. One that cannot serve, because another process does, is reported.
   *
   * @param specifications a plugin's type and its daemon's arguments each, separated by spaces; all
   *     daemons of the image, without arguments, if empty
   * @throws CniException code 4 if there is no such daemon
   */
  static PluginDaemons start(List<String> specifications) throws CniException {
    var daemons = new PluginDaemons();
    if (specifications.isEmpty()) {
      for (PluginDaemon daemon : ServiceLoader.load(PluginDaemon.class)) {
        daemons.start(daemon, List.of());
      }
    }
    for (String specification : specifications) {
      List<String> words = Arrays.asList(specification.strip().split("\\s+"));
      if (!words.equals(List.of(NONE))) {
        daemons.start(require(words.getFirst()), words.subList(1, words.size()));
      }
    }
    return daemons;
  }

  private static PluginDaemon require(String type) throws CniException {
    return find(type)
        .orElseThrow(
            () ->
                new CniException(
                    ErrorCode.INVALID_PARAMETER,
                    "--daemon " + type + ": that plugin has no daemon in this image"));
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

  /** Reports sockets that the service manager has passed and nothing serves. */
  static void warnOfUnusedSockets() throws IOException {
    for (String unused : SystemdSocket.untaken()) {
      System.err.println("cni: nothing serves a socket that the service manager passed: " + unused);
    }
  }

  /** Ends the daemons. */
  @Override
  public void close() {
    threads.forEach(Thread::interrupt);
    for (Thread thread : threads) {
      try {
        thread.join(END_TIME);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
    }
    threads.clear();
  }
}
