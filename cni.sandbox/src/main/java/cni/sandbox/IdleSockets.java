package cni.sandbox;

import cni.netlink.ffm.NetNs;
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
final class IdleSockets<S> {
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(1);

  private static final long OVERDUE_NANOS = TimeUnit.SECONDS.toNanos(10);

  private static final Executor LATER =
      CompletableFuture.delayedExecutor(
          PATIENCE_NANOS,
          TimeUnit.NANOSECONDS,
          task -> Thread.ofPlatform().daemon().name("cni-idle-sockets").start(task));

  private final Map<NetNs.Identity, Deque<Idle<S>>> byHost = new HashMap<>();
  private final Consumer<S> close;

  /** When the next sweep began to be waited for, System.nanoTime; meaningless without one. */
  private long sweepSince;

  private boolean sweepIsDue;

  /** None yet. */
  IdleSockets(Consumer<S> close) {
    this.close = close;
  }

  private record Idle<S>(S socket, long since) {}

  /** The socket of that host that was used last, which belongs to the caller now. */
  synchronized Optional<S> take(NetNs.Identity host) {
    Deque<Idle<S>> idle = byHost.get(host);
    return idle == null ? Optional.empty() : Optional.ofNullable(idle.poll()).map(Idle::socket);
  }

  /** Takes a socket back on which nothing is under way. */
  synchronized void give(NetNs.Identity host, S socket) {
    byHost
        .computeIfAbsent(host, it -> new ArrayDeque<>())
        .push(new Idle<>(socket, System.nanoTime()));
    // Long overdue: its thread could not be started.
    if (!sweepIsDue || System.nanoTime() - sweepSince > OVERDUE_NANOS) {
      planSweep();
    }
  }

  private void planSweep() {
    sweepIsDue = true;
    sweepSince = System.nanoTime();
    LATER.execute(this::sweep);
  }

  private void sweep() {
    expired().forEach(close);
  }

  private synchronized List<S> expired() {
    long now = System.nanoTime();
    List<S> expired = new ArrayList<>();
    for (Iterator<Deque<Idle<S>>> all = byHost.values().iterator(); all.hasNext(); ) {
      Deque<Idle<S>> idle = all.next();
      while (!idle.isEmpty() && now - idle.getLast().since() >= PATIENCE_NANOS) {
        expired.add(idle.removeLast().socket());
      }
      if (idle.isEmpty()) {
        all.remove();
      }
    }
    sweepIsDue = false;
    if (!byHost.isEmpty()) {
      planSweep();
    }
    return expired;
  }
}
