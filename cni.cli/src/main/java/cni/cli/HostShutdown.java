package cni.cli;

import cni.daemon.HostServer;
import cni.netlink.ffm.process.ServiceNotification;
import java.util.concurrent.CountDownLatch;

/**
 * Ends the resident host in an orderly way when a signal starts the JVM's shutdown: the process
 * ends when this is closed.
 */
final class HostShutdown implements AutoCloseable {
  private final CountDownLatch closed = new CountDownLatch(1);

  /** Lets signals stop the server from now on. */
  void stopAtSignal(HostServer server, ServiceNotification manager) {
    Runnable stop =
        () -> {
          manager.stopping();
          server.stop();
          awaitClose();
        };
    Runtime.getRuntime().addShutdownHook(new Thread(stop, "cni-host-end"));
  }

  private void awaitClose() {
    try {
      closed.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    closed.countDown();
  }
}
