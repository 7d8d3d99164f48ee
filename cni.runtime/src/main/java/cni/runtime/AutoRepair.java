// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.PluginEvent;
import cni.api.TraceContext;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkMonitor;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.runtime.UpdateOperation.Mode;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/**
 * Repairs attachments by itself. Whenever the kernel notifies of a change to links, addresses,
 * routes, rules, qdiscs or nf_tables, it compares all attachments with what they should be, and
 * repairs those that still differ half a second later.
 *
 * <p>The delay is for a DEL in progress, by any program: it removes parts of an attachment one
 * after the other. An attachment with a part that cannot be repaired, such as an interface that is
 * gone, is left alone altogether, for the same reason. Where something removes again what a repair
 * restores, the next one waits longer each time ({@link RepairBackoff}), and an event says so.
 *
 * <p>A DEL of this library excludes a repair by its locks. One of another runtime may take longer
 * than the delay, and miss what has been restored meanwhile. An attachment that is no longer in the
 * cache soon after its repair therefore gets another DEL.
 */
final class AutoRepair implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  /** The delay after a notification; notifications come in bursts. */
  private static final Duration BURST_DELAY = Duration.ofMillis(100);

  /** How long an attachment must differ before it is repaired. */
  private static final Duration CONFIRMATION_DELAY = Duration.ofMillis(500);

  /** How often an idle thread that waits for notifications checks whether it has been closed. */
  private static final Duration CLOSE_POLL_INTERVAL = Duration.ofSeconds(5);

  /** How long after a repair a DEL that was in progress may end: an operation's usual timeout. */
  private static final Duration DELETION_TIME = Duration.ofMinutes(2);

  /** How long {@link #close} waits for a repair in progress. */
  private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(10);

  /** At most a tenth of the time is spent comparing, however many attachments there are. */
  private static final int DUTY_CYCLE_DIVISOR = 10;

  private final CniState cni;
  private final Consumer<PluginEvent> events;
  private final Thread thread;

  /** When a difference was first seen. */
  private final Map<Key, Long> suspects = new HashMap<>();

  /** What has been repaired, until it is deleted. */
  private final Map<Key, Repaired> repaired = new HashMap<>();

  private long nextComparison = System.nanoTime();

  private boolean notified = true; // guarded by this; at first for what was damaged before
  private volatile boolean closed;

  /** An attachment. */
  private record Key(String network, AttachmentId id) {}

  /**
   * An attachment that has been repaired.
   *
   * @param attachment as it was in the cache then
   */
  private record Repaired(CachedAttachment attachment, RepairBackoff backoff) {
    boolean isRecent() {
      return System.nanoTime() - backoff.lastRepair() < DELETION_TIME.toNanos();
    }
  }

  /** What a comparison of an attachment has found. */
  private enum Condition {
    INTACT,
    REPAIRABLE,
    /** Its interface is gone, possibly by a DEL in progress, or it cannot be compared. */
    BEYOND_REPAIR,
    /** Another operation holds its locks. */
    BUSY
  }

  private AutoRepair(CniState cni, Consumer<PluginEvent> events) {
    this.cni = cni;
    this.events = events;
    this.thread = Thread.ofPlatform().daemon().name("cni repair").unstarted(this::run);
  }

  /**
   * Starts to watch and to repair.
   *
   * @param hostNamespace the path of the host's namespace; absent for that of this process
   * @param events receives what was repaired and what could not be
   * @throws CniException code 50 if the kernel's notifications cannot be subscribed to
   */
  static AutoRepair start(CniState cni, Optional<Path> hostNamespace, Consumer<PluginEvent> events)
      throws CniException {
    var repair = new AutoRepair(cni, events);
    List<NetlinkMonitor> monitors = new ArrayList<>();
    try {
      if (hostNamespace.isEmpty()) {
        subscribe(monitors);
      } else {
        try (NetNs host = NetNs.open(hostNamespace.get())) {
          host.call(() -> subscribe(monitors));
        }
      }
    } catch (KernelException e) {
      monitors.forEach(NetlinkMonitor::close);
      throw new CniException(
          ErrorCode.NOT_AVAILABLE,
          "attachments cannot be repaired by themselves without the kernel's notifications: "
              + e.getMessage(),
          e);
    }
    for (NetlinkMonitor monitor : monitors) {
      Thread.ofPlatform().daemon().name("cni repair watch").start(() -> repair.watch(monitor));
    }
    repair.thread.start();
    return repair;
  }

  private static List<NetlinkMonitor> subscribe(List<NetlinkMonitor> monitors)
      throws KernelException {
    monitors.add(
        NetlinkMonitor.open(
            NetlinkConstants.NETLINK_ROUTE,
            RtnetlinkConstants.RTNLGRP_LINK,
            RtnetlinkConstants.RTNLGRP_TC,
            RtnetlinkConstants.RTNLGRP_IPV4_IFADDR,
            RtnetlinkConstants.RTNLGRP_IPV4_ROUTE,
            RtnetlinkConstants.RTNLGRP_IPV4_RULE,
            RtnetlinkConstants.RTNLGRP_IPV6_IFADDR,
            RtnetlinkConstants.RTNLGRP_IPV6_ROUTE,
            RtnetlinkConstants.RTNLGRP_IPV6_RULE));
    monitors.add(
        NetlinkMonitor.open(NetlinkConstants.NETLINK_NETFILTER, NetlinkConstants.NFNLGRP_NFTABLES));
    return monitors;
  }

  /** Passes notifications on, until this is closed. */
  private void watch(NetlinkMonitor monitor) {
    try (monitor) {
      while (!closed) {
        if (monitor.await(CLOSE_POLL_INTERVAL)) {
          wake();
          Thread.sleep(BURST_DELAY);
        }
      }
    } catch (KernelException e) {
      LOG.get().log(System.Logger.Level.WARNING, "attachments are no longer repaired", e);
    } catch (InterruptedException e) {
      return;
    }
  }

  private synchronized void wake() {
    notified = true;
    notifyAll();
  }

  private void run() {
    try {
      while (awaitWork()) {
        if (takeNotification()) {
          Thread.sleep(BURST_DELAY);
          compareAll();
        }
        for (Key key : List.copyOf(suspects.keySet())) {
          if (dueTime(key) - System.nanoTime() <= 0) {
            suspects.remove(key);
            examine(key);
          }
        }
      }
    } catch (InterruptedException e) {
      return;
    } catch (RuntimeException | Error e) {
      LOG.get().log(System.Logger.Level.ERROR, "attachments are no longer repaired", e);
    }
  }

  /** Waits until there is something to do; returns false once this is closed. */
  private synchronized boolean awaitWork() throws InterruptedException {
    while (!closed) {
      long now = System.nanoTime();
      Optional<Long> next = suspects.keySet().stream().map(this::dueTime).min(Long::compare);
      if (notified) {
        next = Optional.of(Math.min(nextComparison, next.orElse(nextComparison)));
      }
      long millis = next.map(it -> Duration.ofNanos(it - now).toMillis() + 1).orElse(0L);
      if (next.isPresent() && next.get() - now <= 0) {
        return true;
      }
      wait(millis); // 0 waits for a notification
    }
    return false;
  }

  private synchronized boolean takeNotification() {
    boolean due = notified && nextComparison - System.nanoTime() <= 0;
    notified &= !due;
    return due;
  }

  private long dueTime(Key key) {
    long confirmed = suspects.getOrDefault(key, 0L) + CONFIRMATION_DELAY.toNanos();
    Repaired before = repaired.get(key);
    return before == null || before.backoff().nextRepair() - confirmed < 0
        ? confirmed
        : before.backoff().nextRepair();
  }

  private void compareAll() {
    long start = System.nanoTime();
    Map<Key, Long> before = Map.copyOf(suspects);
    suspects.clear();
    Set<Key> gone = new HashSet<>(repaired.keySet());
    try {
      for (CachedAttachment cached : cni.cache().list(Optional.empty())) {
        var key = new Key(cached.network(), cached.attachment().id());
        gone.remove(key);
        if (isSuspect(key, compare(cached))) {
          suspects.put(key, before.getOrDefault(key, System.nanoTime()));
        }
      }
      gone.forEach(key -> suspects.put(key, before.getOrDefault(key, System.nanoTime())));
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.WARNING, "attachments are not compared", e);
    }
    long duration = System.nanoTime() - start;
    nextComparison = System.nanoTime() + (DUTY_CYCLE_DIVISOR - 1) * duration;
  }

  private Condition compare(CachedAttachment cached) {
    try {
      UpdateReport report =
          network(cached).repairInBackground(cached.attachment().id(), Mode.DRY_RUN);
      if (!report.unrepaired().isEmpty()) {
        return Condition.BEYOND_REPAIR;
      }
      return report.steps().isEmpty() ? Condition.INTACT : Condition.REPAIRABLE;
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "an attachment is not compared", e);
      return e.is(ErrorCode.TRY_AGAIN_LATER) ? Condition.BUSY : Condition.BEYOND_REPAIR;
    }
  }

  /** Returns whether an attachment has to be examined again. */
  private boolean isSuspect(Key key, Condition condition) {
    return switch (condition) {
      case INTACT -> false;
      case REPAIRABLE, BUSY -> true;
      case BEYOND_REPAIR -> repaired.containsKey(key) && repaired.get(key).isRecent();
    };
  }

  private Network network(CachedAttachment cached) throws CniException {
    return new Network(cached.config(), cni, TraceContext.NONE);
  }

  /** Repairs an attachment that has been suspect for long enough, if it still has to be. */
  private void examine(Key key) {
    try {
      Optional<CachedAttachment> cached = cni.cache().get(key.network(), key.id());
      if (cached.isEmpty()) {
        deleteRemains(key);
        return;
      }
      Condition condition = compare(cached.get());
      if (condition == Condition.REPAIRABLE) {
        repair(key, cached.get());
      } else if (isSuspect(key, condition)) {
        suspects.put(key, System.nanoTime());
      }
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.WARNING, "an attachment is not repaired", e);
    }
  }

  private void repair(Key key, CachedAttachment cached) {
    try {
      UpdateReport report = network(cached).repairInBackground(key.id(), Mode.APPLY);
      publish(PluginEvent.Kind.REPAIRED, key, describe(report, backOff(key, cached)));
    } catch (CniException e) {
      if (e.is(ErrorCode.TRY_AGAIN_LATER)) {
        suspects.put(key, System.nanoTime());
        return;
      }
      publish(
          PluginEvent.Kind.REPAIR_FAILED,
          key,
          "%s; the next attempt is in %d s at the earliest"
              .formatted(e.getMessage(), backOff(key, cached).delay().toSeconds()));
    }
  }

  private RepairBackoff backOff(Key key, CachedAttachment cached) {
    long now = System.nanoTime();
    Repaired before = repaired.get(key);
    RepairBackoff backoff = before == null ? RepairBackoff.first(now) : before.backoff().next(now);
    repaired.put(key, new Repaired(cached, backoff));
    return backoff;
  }

  /** Deletes what a repair may have restored of an attachment during its DEL. */
  private void deleteRemains(Key key) throws CniException {
    Repaired before = repaired.get(key);
    if (before == null) {
      return;
    }
    try {
      if (before.isRecent() && !hasInterface(before.attachment().attachment())) {
        network(before.attachment()).deleteRemains(before.attachment().attachment());
      }
      repaired.remove(key);
    } catch (CniException e) {
      if (!e.is(ErrorCode.TRY_AGAIN_LATER)) {
        repaired.remove(key);
        throw e;
      }
      suspects.put(key, System.nanoTime());
    }
  }

  /** Returns whether the interface exists, so that the attachment is being made again. */
  private static boolean hasInterface(Attachment attachment) {
    if (attachment.namespace().isEmpty()) {
      return false;
    }
    try (NetNs container = NetNs.open(attachment.namespace().get());
        RouteSocket routes = RouteSocket.open(container)) {
      return routes.link(attachment.interfaceName()).isPresent();
    } catch (IOException e) {
      return false;
    }
  }

  private static String describe(UpdateReport report, RepairBackoff backoff) {
    String changes =
        report.steps().stream()
            .map(step -> step.plugin() + ": " + step.change().orElse(step.finding()))
            .collect(Collectors.joining("; "));
    return backoff.isFight()
        ? "%s; something keeps removing it: the next repair is in %d s at the earliest"
            .formatted(changes, backoff.delay().toSeconds())
        : changes;
  }

  private void publish(PluginEvent.Kind kind, Key key, String message) {
    LOG.get()
        .log(
            kind == PluginEvent.Kind.REPAIRED
                ? System.Logger.Level.INFO
                : System.Logger.Level.WARNING,
            "%s, container %s, interface %s: %s: %s"
                .formatted(
                    key.network(),
                    key.id().containerId(),
                    key.id().interfaceName(),
                    kind,
                    message));
    events.accept(PluginEvent.now(kind, "repair", key.network(), Optional.of(key.id()), message));
  }

  /** Stops, after a repair in progress; the threads that wait for notifications end soon. */
  @Override
  public void close() {
    closed = true;
    wake();
    try {
      thread.join(CLOSE_TIMEOUT);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
