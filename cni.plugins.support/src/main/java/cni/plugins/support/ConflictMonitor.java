// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.AttachmentId;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.api.Result;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.NsidView;
import cni.netlink.ffm.unix.SocketPoller;
import java.io.Closeable;
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
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * A thread that keeps a {@link ConflictWatch} open for each interface of an attachment with IPv4
 * addresses, until it is closed.
 */
final class ConflictMonitor implements Closeable {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.support");

  /** The delay after notifications and packets, which come in bursts. */
  private static final Duration BURST_DELAY = Duration.ofMillis(100);

  /** How often attachments are read without a notification, in case that one was missed. */
  private static final Duration IDLE_SCAN_INTERVAL = Duration.ofSeconds(30);

  /** For how long a watch may keep a namespace in existence that was deleted. */
  private static final Duration NAMESPACE_CHECK_INTERVAL = Duration.ofSeconds(1);

  /** The inverse of the share of time spent reading attachments. */
  private static final int DUTY_CYCLE_DIVISOR = 10;

  /** The number of the notifications in the poller; those of watches are greater. */
  private static final long NOTIFICATIONS = 0;

  private final PluginHost host;
  private final KernelNotifications notifications;
  private final SocketPoller poller;
  private final Closeable attachmentChanges;
  private final CountDownLatch closed = new CountDownLatch(1);
  private final Thread thread;

  /** Whether {@link #wake} was called since the last scan. */
  private volatile boolean attachmentsChanged = true; // those that exist already

  // Of the thread only.
  private final Map<Long, ConflictWatch> watches = new HashMap<>();
  private long lastNumber = NOTIFICATIONS;
  private Set<AttachmentId> failing = new HashSet<>();
  private long nextScan = System.nanoTime();
  private long earliestScan = nextScan;
  private long nextNamespaceCheck = nextScan;

  static ConflictMonitor start(PluginHost host) throws KernelException {
    KernelNotifications notifications = KernelNotifications.open(host);
    try {
      SocketPoller poller = SocketPoller.open();
      try {
        poller.add(notifications.monitor(), NOTIFICATIONS);
        return new ConflictMonitor(host, notifications, poller);
      } catch (KernelException | RuntimeException | Error e) {
        poller.close();
        throw e;
      }
    } catch (KernelException | RuntimeException | Error e) {
      notifications.close();
      throw e;
    }
  }

  private ConflictMonitor(PluginHost host, KernelNotifications notifications, SocketPoller poller) {
    this.host = host;
    this.notifications = notifications;
    this.poller = poller;
    this.attachmentChanges = host.onAttachmentsChanged(this::wake);
    this.thread = Thread.ofPlatform().name("cni conflict events").daemon().start(this::run);
  }

  /** Makes the thread read the attachments. Called by any thread, also after closing. */
  private synchronized void wake() {
    attachmentsChanged = true;
    if (!isClosed()) {
      try {
        poller.wakeUp();
      } catch (KernelException e) {
        LOG.get().log(System.Logger.Level.WARNING, "waking the thread for address conflicts", e);
      }
    }
  }

  private boolean isClosed() {
    return closed.getCount() == 0;
  }

  private void run() {
    try {
      while (!isClosed()) {
        serve();
      }
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.WARNING, "no more events of address conflicts", e);
      publishLost("", Optional.empty(), "address conflicts are no longer watched", e);
    } catch (InterruptedException e) {
      return; // no caller interrupts this thread
    } finally {
      watches.values().forEach(ConflictWatch::close);
      watches.clear();
    }
  }

  /** Waits for events, handles them, and pauses if there were any. */
  private void serve() throws IOException, InterruptedException {
    if (attachmentsChanged) {
      scanSoon();
    }
    if (System.nanoTime() - nextScan >= 0) {
      scan();
    }
    long[] ready = poller.await(Optional.of(pollTimeout()));
    for (long number : ready) {
      if (number == NOTIFICATIONS) {
        if (notifications.monitor().await(Duration.ZERO)) {
          scanSoon();
        }
      } else {
        receive(number);
      }
    }
    closeWatchesOfDeletedNamespaces();
    if (ready.length > 0) {
      boolean _ = closed.await(BURST_DELAY.toMillis(), TimeUnit.MILLISECONDS);
    }
  }

  /** Brings the next scan forward, as far as the duty cycle allows. */
  private void scanSoon() {
    if (nextScan - earliestScan > 0) {
      nextScan = earliestScan;
    }
  }

  private Duration pollTimeout() {
    Duration untilScan = Duration.ofNanos(Math.max(0, nextScan - System.nanoTime()));
    boolean isShorter = watches.isEmpty() || untilScan.compareTo(NAMESPACE_CHECK_INTERVAL) < 0;
    return isShorter ? untilScan : NAMESPACE_CHECK_INTERVAL;
  }

  private void receive(long number) throws IOException {
    ConflictWatch watch = watches.get(number);
    if (watch == null) {
      return;
    }
    try {
      watch.receive(host);
    } catch (IOException e) {
      close(number);
      reportFailure(watch.target().active(), e);
    }
  }

  private void close(long number) {
    ConflictWatch watch = watches.remove(number);
    if (watch != null) {
      watch.close();
    }
  }

  private void closeWatchesOfDeletedNamespaces() {
    if (System.nanoTime() - nextNamespaceCheck < 0) {
      return;
    }
    nextNamespaceCheck = System.nanoTime() + NAMESPACE_CHECK_INTERVAL.toNanos();
    for (Map.Entry<Long, ConflictWatch> it : List.copyOf(watches.entrySet())) {
      if (!it.getValue().isNamespaceNamed()) {
        close(it.getKey());
        scanSoon(); // another namespace may have the path
      }
    }
  }

  /** Opens the watches that are missing, and closes those whose attachment is no more. */
  private void scan() {
    long start = System.nanoTime();
    attachmentsChanged = false;
    try {
      Set<Long> current = new HashSet<>();
      Set<AttachmentId> failedBefore = failing;
      failing = new HashSet<>();
      for (PluginHost.ActiveAttachment active : host.attachments()) {
        try {
          watch(active, current);
        } catch (IOException e) {
          if (failedBefore.contains(active.attachment().id())) {
            failing.add(active.attachment().id());
          } else {
            reportFailure(active, e);
          }
        }
      }
      for (long number : List.copyOf(watches.keySet())) {
        if (!current.contains(number)) {
          close(number);
        }
      }
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.WARNING, "reading attachments", e);
    }
    long end = System.nanoTime();
    long pause = (DUTY_CYCLE_DIVISOR - 1) * (end - start);
    earliestScan = end + Math.max(BURST_DELAY.toNanos(), pause);
    nextScan = end + Math.max(IDLE_SCAN_INTERVAL.toNanos(), pause);
  }

  /** Opens the missing watches of an attachment, and adds the numbers of all to the set. */
  private void watch(PluginHost.ActiveAttachment active, Set<Long> current) throws IOException {
    Optional<Path> path = active.attachment().namespace();
    Optional<NetNs> opened = path.isPresent() ? NetNs.openIfPresent(path.get()) : Optional.empty();
    if (opened.isEmpty()) {
      return;
    }
    try (NetNs netns = opened.get()) {
      NsidView view = NsidView.of(notifications.rtnetlink(), netns);
      for (ConflictWatch.Target target : targets(active, netns, view)) {
        current.add(numberOf(target, netns, view));
      }
    }
  }

  private static List<ConflictWatch.Target> targets(
      PluginHost.ActiveAttachment active, NetNs netns, NsidView view) throws IOException {
    List<ConflictWatch.Target> targets = new ArrayList<>();
    List<Result.Interface> interfaces = active.result().interfaces();
    for (int i = 0; i < interfaces.size(); i++) {
      Result.Interface it = interfaces.get(i);
      List<Cidr> addresses = new ArrayList<>();
      for (Result.IpConfig ip : active.result().ipsOf(i)) {
        if (ip.address().isV4()) {
          addresses.add(ip.address());
        }
      }
      boolean isInside = it.sandbox().equals(active.attachment().sandbox()) && !it.isOnHost();
      Optional<Link> link =
          isInside && !addresses.isEmpty() ? view.link(it.name()) : Optional.empty();
      if (link.isPresent()) {
        int index = link.get().index();
        targets.add(new ConflictWatch.Target(active, it, addresses, netns.identity(), index));
      }
    }
    return targets;
  }

  private long numberOf(ConflictWatch.Target target, NetNs netns, NsidView view)
      throws IOException {
    for (Map.Entry<Long, ConflictWatch> it : watches.entrySet()) {
      if (it.getValue().target().isSameAs(target)) {
        return it.getKey();
      }
    }
    ConflictWatch watch = ConflictWatch.open(target, netns, view);
    try {
      poller.add(watch.socket(), ++lastNumber);
      watches.put(lastNumber, watch);
      return lastNumber;
    } catch (IOException | RuntimeException | Error e) {
      watch.close();
      throw e;
    }
  }

  private void reportFailure(PluginHost.ActiveAttachment active, IOException cause) {
    AttachmentId id = active.attachment().id();
    failing.add(id);
    LOG.get().log(System.Logger.Level.WARNING, "watching for address conflicts of " + id, cause);
    String what = "conflicts of the IPv4 addresses are not watched";
    publishLost(active.network(), Optional.of(id), what, cause);
  }

  private void publishLost(
      String network, Optional<AttachmentId> attachment, String what, IOException cause) {
    String message = what + ": " + cause.getMessage();
    host.publish(
        PluginEvent.now(PluginEvent.Kind.EVENTS_LOST, "kernel", network, attachment, message));
  }

  @Override
  public void close() throws IOException {
    synchronized (this) {
      closed.countDown();
      poller.wakeUp();
    }
    attachmentChanges.close();
    joinThread();
    poller.close();
    notifications.close();
  }

  private void joinThread() {
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
