package cni.sandbox;

import static cni.sandbox.Log.LOG;

import cni.api.CniException;
import cni.api.EventSource;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NetNs;
import cni.netlink.ffm.Netlink;
import cni.netlink.ffm.NetlinkWatch;
import cni.netlink.ffm.route.RtNetlink;
import cni.netlink.ffm.route.Rtnetlink;
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
public final class AttachmentEvents implements EventSource {
  /** Notifications come in bursts. */
  private static final Duration BURST = Duration.ofMillis(100);

  /** How long something must have been wrong before it is told. */
  private static final Duration DOUBT = Duration.ofSeconds(1);

  /** How often a thread that has nothing to do looks whether it is to end. */
  private static final Duration IDLE = Duration.ofMillis(250);

  /** Looking takes at most a tenth of the time, however many attachments and changes there are. */
  private static final int SHARE = 10;

  /** The source as the runtime makes it. */
  public AttachmentEvents() {}

  @Override
  public Closeable open(PluginHost host) throws CniException {
    try {
      return new Watch(host);
    } catch (IOException e) {
      throw Namespace.failure("watching links and addresses", e);
    }
  }

  /** As long as somebody listens. */
  private static final class Watch implements Closeable {
    private final PluginHost host;
    private final Rtnetlink routing;
    private final NetlinkWatch notifications;
    private final Thread thread;
    private volatile boolean closed;

    /** What was told last of each attachment. */
    private Map<String, AttachmentState> told = new HashMap<>();

    /** Since when something has been worse than what was told, System.nanoTime. */
    private final Map<String, Long> doubts = new HashMap<>();

    Watch(PluginHost host) throws KernelException {
      this.host = host;
      Optional<Path> path = host.hostNamespace();
      if (path.isPresent()) {
        try (NetNs netns = NetNs.open(path.get())) {
          this.routing = Rtnetlink.open(netns);
          this.notifications = netns.call(Watch::subscribe);
        }
      } else {
        this.routing = Rtnetlink.open();
        this.notifications = subscribe();
      }
      this.thread = Thread.ofPlatform().name("cni link events").daemon().start(this::run);
    }

    private static NetlinkWatch subscribe() throws KernelException {
      return NetlinkWatch.open(
          Netlink.NETLINK_ROUTE,
          RtNetlink.RTNLGRP_LINK,
          RtNetlink.RTNLGRP_IPV4_IFADDR,
          RtNetlink.RTNLGRP_IPV6_IFADDR,
          RtNetlink.RTNLGRP_NSID);
    }

    private void run() {
      try {
        boolean due = true; // what is there already
        while (!closed) {
          if (due) {
            look();
          }
          boolean notified = notifications.await(IDLE);
          if (notified) {
            Thread.sleep(BURST);
          }
          due = notified || !doubts.isEmpty();
        }
      } catch (IOException e) {
        if (!closed) {
          LOG.log(System.Logger.Level.WARNING, "no more events of links and addresses", e);
        }
      } catch (InterruptedException e) {
        return; // it has been closed
      }
    }

    private void look() throws InterruptedException {
      long begin = System.nanoTime();
      try {
        Map<String, AttachmentState> now = new HashMap<>();
        for (PluginHost.KeptAttachment kept : host.attachments()) {
          String key = key(kept);
          AttachmentState state = AttachmentState.read(routing, kept);
          now.put(key, tell(key, kept, state));
        }
        told = now;
        doubts.keySet().retainAll(now.keySet());
      } catch (CniException | IOException e) {
        LOG.log(System.Logger.Level.WARNING, "looking for what became of attachments", e);
      }
      Thread.sleep(Duration.ofNanos((SHARE - 1) * (System.nanoTime() - begin)));
    }

    private static String key(PluginHost.KeptAttachment kept) {
      var id = kept.attachment().id();
      return kept.network() + "/" + id.containerId() + "/" + id.interfaceName();
    }

    /** Tells what has changed, if it is time to; returns what has been told then. */
    private AttachmentState tell(
        String key, PluginHost.KeptAttachment kept, AttachmentState state) {
      AttachmentState before = told.getOrDefault(key, AttachmentState.sound(kept));
      if (state.equals(before)) {
        doubts.remove(key);
        return before;
      }
      long since = doubts.computeIfAbsent(key, _ -> System.nanoTime());
      if (state.isWorseThan(before) && System.nanoTime() - since < DOUBT.toNanos()) {
        return before;
      }
      doubts.remove(key);
      state.differences(before, (kind, what) -> publish(kept, kind, what));
      return state;
    }

    private void publish(PluginHost.KeptAttachment kept, PluginEvent.Kind kind, String what) {
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
