package cni.cli;

import cni.api.CniException;
import cni.api.PluginDaemon;
import java.util.List;
import java.util.ServiceLoader;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Runs a plugin's daemon in this process until a signal ends it. */
final class DaemonRunner {
  private static final int SHUTDOWN_TIMEOUT_SECONDS = 15;

  private DaemonRunner() {}

  /** Runs the daemon of a plugin type and returns the exit status. */
  static int run(String type, List<String> arguments) {
    PluginDaemon daemon = null;
    for (PluginDaemon candidate : ServiceLoader.load(PluginDaemon.class)) {
      daemon = candidate.type().equals(type) ? candidate : daemon;
    }
    if (daemon == null) {
      System.err.println("cni: plugin " + type + " has no daemon in this image");
      return 2;
    }
    if (arguments.stream().anyMatch(it -> it.matches("-h|--?help"))) {
      System.out.print(daemon.usage());
      return 0;
    }
    // A signal starts the JVM's shutdown. The hook delays it until the daemon has written its
    // leases
    // and removed its socket.
    Thread main = Thread.currentThread();
    var ended = new CountDownLatch(1);
    var hook = new Thread(() -> interruptAndAwait(main, ended), "cni-daemon-end");
    Runtime.getRuntime().addShutdownHook(hook);
    try {
      daemon.run(arguments);
      return 0;
    } catch (CniException e) {
      System.err.println("cni: " + e.getMessage());
      return 1;
    } finally {
      ended.countDown(); // lets the shutdown continue
    }
  }

  private static void interruptAndAwait(Thread main, CountDownLatch ended) {
    main.interrupt();
    try {
      boolean _ = ended.await(SHUTDOWN_TIMEOUT_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
