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
 * Idle netlink sockets of host namespaces, for reuse by the next operation. Opening one is cheap,
 * but closing an nf_tables socket waits up to 20 ms, until objects deleted in its namespace are
 * freed, and blocks other rule changes there meanwhile (nft_rcv_nl_event in
 * net/netfilter/nf_tables_api.c). Sockets are therefore closed in the background, after one second
 * without use.
 *
 * @param <S> the type of the sockets
 */
final class SocketPool<S> {
  private static final long IDLE_TIMEOUT_NANOS = TimeUnit.SECONDS.toNanos(1);

  /** After this time without a sweep its thread is presumed not to have started. */
  private static final long SWEEP_OVERDUE_NANOS = TimeUnit.SECONDS.toNanos(10);

  private static final Executor SWEEPER =
      CompletableFuture.delayedExecutor(
          IDLE_TIMEOUT_NANOS,
          TimeUnit.NANOSECONDS,
          task -> Thread.ofPlatform().daemon().name("cni-idle-sockets").start(task));

  private final Map<NetNs.Identity, Deque<IdleSocket<S>>> byHost = new HashMap<>();
  private final Consumer<S> closer;

  /** When the next sweep was scheduled, by System.nanoTime; only valid if one is scheduled. */
  private long sweepScheduledAt;

  private boolean sweepScheduled;

  /**
   * Creates an empty pool.
   *
   * @param closer closes a socket
   */
  SocketPool(Consumer<S> close) {
    this.closer = close;
  }

  private record IdleSocket<S>(S socket, long idleSince) {}

  /** Removes and returns the most recently used socket of a host, or empty if there is none. */
  synchronized Optional<S> acquire(NetNs.Identity host) {
    Deque<IdleSocket<S>> idle = byHost.get(host);
    return idle == null
        ? Optional.empty()
        : Optional.ofNullable(idle.poll()).map(IdleSocket::socket);
  }

  /** Adds a socket on which no request is pending. */
  synchronized void release(NetNs.Identity host, S socket) {
    byHost
        .computeIfAbsent(host, it -> new ArrayDeque<>())
        .push(new IdleSocket<>(socket, System.nanoTime()));
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
