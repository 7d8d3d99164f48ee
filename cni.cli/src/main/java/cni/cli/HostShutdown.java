// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.daemon.HostServer;
import cni.netlink.ffm.process.ServiceNotification;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Ends the resident host in an orderly way when a signal starts the JVM's shutdown: the process
 * ends when this is closed.
 */
final class HostShutdown implements AutoCloseable {
  /**
   * How long the host may take to end after the requests in flight have ended: what cni.service
   * leaves of 60 seconds (TimeoutStopSec=) after 10 (--drain) and 35 for undoing requests.
   */
  private static final Duration CLOSE_TIME = Duration.ofSeconds(14);

  private final Thread main = Thread.currentThread();
  private final Duration closeTime;
  private final CountDownLatch closed = new CountDownLatch(1);

  /** Creates this on the thread that will close it. */
  HostShutdown() {
    this(CLOSE_TIME);
  }

  HostShutdown(Duration closeTime) {
    this.closeTime = closeTime;
  }

  /** Lets signals stop the server from now on. */
  void stopAtSignal(HostServer server, ServiceNotification manager) {
    Runnable stop =
        () -> {
          manager.stopping();
          manager.status(server.status().inFlight() + " requests in flight before the end");
          server.stop();
          awaitClose();
        };
    Runtime.getRuntime().addShutdownHook(new Thread(stop, "cni-host-end"));
  }

  private void awaitClose() {
    try {
      if (!closed.await(closeTime.toNanos(), TimeUnit.NANOSECONDS)) {
        System.err.println("cni: the host ends before all of it has ended; it waits in");
        for (StackTraceElement it : main.getStackTrace()) {
          System.err.println("  " + it);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    closed.countDown();
  }
}
