package cni.plugins.support;

import cni.netlink.ffm.netns.NetNs;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * Netlink sockets of host namespaces, which one operation leaves and the next one takes. Opening
 * one costs little. But whoever closes one of netfilter waits, up to 20 ms, until what has been
 * deleted in its namespace is out of use, and nobody else changes rules there meanwhile
 * (nft_rcv_nl_event in net/netfilter/nf_tables_api.c). So they are closed when nobody has used them
 * for a second.
 */
final class SocketPool<S> {
  private static final long IDLE_TIMEOUT_NANOS = TimeUnit.SECONDS.toNanos(1);

  private static final long SWEEP_OVERDUE_NANOS = TimeUnit.SECONDS.toNanos(10);

  private static final Executor SWEEPER =
      CompletableFuture.delayedExecutor(
          IDLE_TIMEOUT_NANOS,
          TimeUnit.NANOSECONDS,
          task -> Thread.ofPlatform().daemon().name("cni-idle-sockets").start(task));

  private final Map<NetNs.Identity, Deque<IdleSocket<S>>> byHost = new HashMap<>();
  private final Consumer<S> closer;

  /** When the next sweep began to be waited for, System.nanoTime; meaningless without one. */
  private long sweepScheduledAt;

  private boolean sweepScheduled;

  /** None yet. */
  SocketPool(Consumer<S> close) {
    this.closer = close;
  }

  private record IdleSocket<S>(S socket, long idleSince) {}

  /** The socket of that host that was used last, which belongs to the caller now. */
  synchronized Optional<S> acquire(NetNs.Identity host) {
    Deque<IdleSocket<S>> idle = byHost.get(host);
    return idle == null
        ? Optional.empty()
        : Optional.ofNullable(idle.poll()).map(IdleSocket::socket);
  }

  /** Takes a socket back on which nothing is under way. */
  synchronized void release(NetNs.Identity host, S socket) {
    byHost
        .computeIfAbsent(host, it -> new ArrayDeque<>())
        .push(new IdleSocket<>(socket, System.nanoTime()));
    // Long overdue: its thread could not be started.
    if (!sweepScheduled || System.nanoTime() - sweepScheduledAt > SWEEP_OVERDUE_NANOS) {
      scheduleSweep();
    }
  }

  private void scheduleSweep() {
    sweepScheduled = true;
    sweepScheduledAt = System.nanoTime();
    SWEEPER.execute(this::sweep);
  }

  private void sweep() {
    removeExpired().forEach(closer);
  }

  private synchronized List<S> removeExpired() {
    long now = System.nanoTime();
    List<S> expired = new ArrayList<>();
    for (Iterator<Deque<IdleSocket<S>>> all = byHost.values().iterator(); all.hasNext(); ) {
      Deque<IdleSocket<S>> idle = all.next();
      while (!idle.isEmpty() && now - idle.getLast().idleSince() >= IDLE_TIMEOUT_NANOS) {
        expired.add(idle.removeLast().socket());
      }
      if (idle.isEmpty()) {
        all.remove();
      }
    }
    sweepScheduled = false;
    if (!byHost.isEmpty()) {
      scheduleSweep();
    }
    return expired;
  }
}
