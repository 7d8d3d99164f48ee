// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.CniException;
import cni.api.EventSource;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.KernelException;
import java.io.Closeable;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Events about the interfaces and addresses of attachments, including those that executables or
 * other processes made. Whenever the kernel notifies of a change to links or addresses, the cached
 * results are compared with the state of the kernel.
 *
 * <p>A change for the worse is only published if it persists for a second and the attachment is
 * still cached: DEL removes the interface first and the cached result last. Shorter changes are not
 * published.
 */
public final class AttachmentEventSource implements EventSource {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.support");

  /** The delay after a notification; notifications come in bursts. */
  private static final Duration BURST_DELAY = Duration.ofMillis(100);

  /** How long a change for the worse must persist before it is published. */
  private static final Duration CONFIRMATION_DELAY = Duration.ofSeconds(1);

  /** How often an idle thread checks whether it has been closed. */
  private static final Duration CLOSE_POLL_INTERVAL = Duration.ofMillis(250);

  /**
   * The inverse of the share of time spent comparing: at most a tenth, however many attachments and
   * changes there are.
   */
  private static final int DUTY_CYCLE_DIVISOR = 10;

  /** Creates the source, for the service loader. */
  public AttachmentEventSource() {}

  @Override
  public Closeable open(PluginHost host) throws CniException {
    try {
      return Monitor.start(host);
    } catch (IOException e) {
      throw NetNsSession.failure("subscribing to links and addresses", e);
    }
  }

  /** The thread that compares and publishes, until it is closed. */
  private static final class Monitor implements Closeable {
    private final PluginHost host;
    private final KernelNotifications notifications;
    private final Thread thread;
    private volatile boolean closed;

    /** The last published health, by {@link #key}. */
    private Map<String, AttachmentHealth> reported = new HashMap<>();

    /** When a change for the worse was first seen, by {@link #key}, as System.nanoTime. */
    private final Map<String, Long> unconfirmedSince = new HashMap<>();

    static Monitor start(PluginHost host) throws KernelException {
      return new Monitor(host, KernelNotifications.open(host));
    }

    private Monitor(PluginHost host, KernelNotifications notifications) {
      this.host = host;
      this.notifications = notifications;
      this.thread = Thread.ofPlatform().name("cni link events").daemon().start(this::run);
    }

    private void run() {
      try {
        boolean due = true; // the attachments that exist already
        while (!closed) {
          if (due) {
            compareAll();
          }
          boolean notified = notifications.monitor().await(CLOSE_POLL_INTERVAL);
          if (notified) {
            Thread.sleep(BURST_DELAY);
          }
          due = notified || !unconfirmedSince.isEmpty();
        }
      } catch (IOException e) {
        if (!closed) {
          LOG.get().log(System.Logger.Level.WARNING, "no more events of links and addresses", e);
          host.publish(
              PluginEvent.now(
                  PluginEvent.Kind.EVENTS_LOST,
                  "kernel",
                  "",
                  Optional.empty(),
                  "links and addresses are no longer watched: " + e.getMessage()));
        }
      } catch (InterruptedException e) {
        return; // by close()
      }
    }

    private void compareAll() throws InterruptedException {
      long start = System.nanoTime();
      try {
        Map<String, AttachmentHealth> current = new HashMap<>();
        for (PluginHost.ActiveAttachment active : host.attachments()) {
          String key = key(active);
          AttachmentHealth health = AttachmentHealth.read(notifications.rtnetlink(), active);
          current.put(key, reportChange(key, active, health));
        }
        reported = current;
        unconfirmedSince.keySet().retainAll(current.keySet());
      } catch (CniException | IOException e) {
        LOG.get().log(System.Logger.Level.WARNING, "comparing attachments with the kernel", e);
      }
      Thread.sleep(Duration.ofNanos((DUTY_CYCLE_DIVISOR - 1) * (System.nanoTime() - start)));
    }

    private static String key(PluginHost.ActiveAttachment active) {
      var id = active.attachment().id();
      return active.network() + "/" + id.containerId() + "/" + id.interfaceName();
    }

    /** Publishes a change, if it is due, and returns the health published last. */
    private AttachmentHealth reportChange(
        String key, PluginHost.ActiveAttachment active, AttachmentHealth health) {
      AttachmentHealth before = reported.getOrDefault(key, AttachmentHealth.healthy(active));
      if (health.equals(before)) {
        unconfirmedSince.remove(key);
        return before;
      }
      long since = unconfirmedSince.computeIfAbsent(key, _ -> System.nanoTime());
      if (health.isWorseThan(before) && System.nanoTime() - since < CONFIRMATION_DELAY.toNanos()) {
        return before;
      }
      unconfirmedSince.remove(key);
      health.forEachChange(before, (kind, what) -> publish(active, kind, what));
      return health;
    }

    private void publish(PluginHost.ActiveAttachment active, PluginEvent.Kind kind, String what) {
      var id = active.attachment().id();
      host.publish(PluginEvent.now(kind, "kernel", active.network(), Optional.of(id), what));
    }

    @Override
    public void close() {
      closed = true;
      thread.interrupt();
      try {
        thread.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      notifications.close();
    }
  }
}
