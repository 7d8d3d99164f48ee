package cni.plugins.support;

import cni.api.CniException;
import cni.api.EventSource;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkMonitor;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Publishes what becomes of the interfaces and addresses of attachments, whoever made them: the
 * result that is kept says what there should be, and whenever the kernel notifies of a change in a
 * namespace, that is compared with what there is.
 *
 * <p>What is worse than before is only told when it is still so a second later and the attachment
 * is still kept: a DEL removes the interface first and the result last. What comes and goes faster
 * is not told.
 */
public final class AttachmentEventSource implements EventSource {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.support");

  /** Notifications come in bursts. */
  private static final Duration BURST_DELAY = Duration.ofMillis(100);

  /** How long something must have been wrong before it is told. */
  private static final Duration CONFIRMATION_DELAY = Duration.ofSeconds(1);

  /** How often a thread that has nothing to do looks whether it is to end. */
  private static final Duration CLOSE_POLL_INTERVAL = Duration.ofMillis(250);

  /** Looking takes at most a tenth of the time, however many attachments and changes there are. */
  private static final int DUTY_CYCLE_DIVISOR = 10;

  /** The source as the runtime makes it. */
  public AttachmentEventSource() {}

  @Override
  public Closeable open(PluginHost host) throws CniException {
    try {
      return new Monitor(host);
    } catch (IOException e) {
      throw NetNsSession.failure("watching links and addresses", e);
    }
  }

  /** As long as somebody listens. */
  private static final class Monitor implements Closeable {
    private final PluginHost host;
    private final RouteSocket routing;
    private final NetlinkMonitor notifications;
    private final Thread thread;
    private volatile boolean closed;

    /** What was told last of each attachment. */
    private Map<String, AttachmentState> reported = new HashMap<>();

    /** Since when something has been worse than what was told, System.nanoTime. */
    private final Map<String, Long> unconfirmedSince = new HashMap<>();

    Monitor(PluginHost host) throws KernelException {
      this.host = host;
      Optional<Path> path = host.hostNamespace();
      if (path.isPresent()) {
        try (NetNs netns = NetNs.open(path.get())) {
          this.routing = RouteSocket.open(netns);
          this.notifications = netns.call(Monitor::subscribe);
        }
      } else {
        this.routing = RouteSocket.open();
        this.notifications = subscribe();
      }
      this.thread = Thread.ofPlatform().name("cni link events").daemon().start(this::run);
    }

    private static NetlinkMonitor subscribe() throws KernelException {
      return NetlinkMonitor.open(
          NetlinkConstants.NETLINK_ROUTE,
          RtnetlinkConstants.RTNLGRP_LINK,
          RtnetlinkConstants.RTNLGRP_IPV4_IFADDR,
          RtnetlinkConstants.RTNLGRP_IPV6_IFADDR,
          RtnetlinkConstants.RTNLGRP_NSID);
    }

    private void run() {
      try {
        boolean due = true; // what is there already
        while (!closed) {
          if (due) {
            compareAll();
          }
          boolean notified = notifications.await(CLOSE_POLL_INTERVAL);
          if (notified) {
            Thread.sleep(BURST_DELAY);
          }
          due = notified || !unconfirmedSince.isEmpty();
        }
      } catch (IOException e) {
        if (!closed) {
          LOG.get().log(System.Logger.Level.WARNING, "no more events of links and addresses", e);
        }
      } catch (InterruptedException e) {
        return; // it has been closed
      }
    }

    private void compareAll() throws InterruptedException {
      long begin = System.nanoTime();
      try {
        Map<String, AttachmentState> now = new HashMap<>();
        for (PluginHost.ActiveAttachment kept : host.attachments()) {
          String key = key(kept);
          AttachmentState state = AttachmentState.read(routing, kept);
          now.put(key, reportChange(key, kept, state));
        }
        reported = now;
        unconfirmedSince.keySet().retainAll(now.keySet());
      } catch (CniException | IOException e) {
        LOG.get().log(System.Logger.Level.WARNING, "looking for what became of attachments", e);
      }
      Thread.sleep(Duration.ofNanos((DUTY_CYCLE_DIVISOR - 1) * (System.nanoTime() - begin)));
    }

    private static String key(PluginHost.ActiveAttachment kept) {
      var id = kept.attachment().id();
      return kept.network() + "/" + id.containerId() + "/" + id.interfaceName();
    }

    /** Tells what has changed, if it is time to; returns what has been told then. */
    private AttachmentState reportChange(
        String key, PluginHost.ActiveAttachment kept, AttachmentState state) {
      AttachmentState before = reported.getOrDefault(key, AttachmentState.healthy(kept));
      if (state.equals(before)) {
        unconfirmedSince.remove(key);
        return before;
      }
      long since = unconfirmedSince.computeIfAbsent(key, _ -> System.nanoTime());
      if (state.isWorseThan(before) && System.nanoTime() - since < CONFIRMATION_DELAY.toNanos()) {
        return before;
      }
      unconfirmedSince.remove(key);
      state.forEachChange(before, (kind, what) -> publish(kept, kind, what));
      return state;
    }

    private void publish(PluginHost.ActiveAttachment kept, PluginEvent.Kind kind, String what) {
      var id = kept.attachment().id();
      host.publish(PluginEvent.now(kind, "kernel", kept.network(), Optional.of(id), what));
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
      routing.close();
    }
  }
}
