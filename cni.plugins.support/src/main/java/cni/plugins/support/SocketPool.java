// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NetlinkClient;
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

/**
 * Opens netlink sockets, and keeps idle ones of host namespaces for reuse by the next operation.
 * Opening one is cheap, but closing an nf_tables socket waits up to 20 ms, until objects deleted in
 * its namespace are freed, and blocks other rule changes there meanwhile (nft_rcv_nl_event in
 * net/netfilter/nf_tables_api.c). Sockets are therefore closed in the background, after one second
 * without use.
 *
 * @param <S> the type of the sockets
 */
final class SocketPool<S extends NetlinkClient> {
  private static final long IDLE_TIMEOUT_NANOS = TimeUnit.SECONDS.toNanos(1);

  /** After this time without a sweep its thread is presumed not to have started. */
  private static final long SWEEP_OVERDUE_NANOS = TimeUnit.SECONDS.toNanos(10);

  private static final Executor SWEEPER =
      CompletableFuture.delayedExecutor(
          IDLE_TIMEOUT_NANOS,
          TimeUnit.NANOSECONDS,
          task -> Thread.ofPlatform().daemon().name("cni-idle-sockets").start(task));

  private final Map<NetNs.Identity, Deque<IdleSocket<S>>> byHost = new HashMap<>();
  private final NetNs.Task<S, KernelException> opener;

  /** When the next sweep was scheduled, by System.nanoTime; only valid if one is scheduled. */
  private long sweepScheduledAt;

  private boolean sweepScheduled;

  /**
   * Creates an empty pool.
   *
   * @param opener opens a socket in the namespace of the calling thread
   */
  SocketPool(NetNs.Task<S, KernelException> opener) {
    this.opener = opener;
  }

  private record IdleSocket<S>(S socket, long idleSince) {}

  /**
   * Returns the most recently used socket of a host, or opens one if there is none.
   *
   * @param netns the namespace to open it in; empty for that of this process
   * @param host the identity of that namespace if it is a host's; empty for a container's, whose
   *     sockets are not kept
   * @throws KernelException if it cannot be opened
   */
  S acquire(Optional<NetNs> netns, Optional<NetNs.Identity> host) throws KernelException {
    Optional<S> idle = host.flatMap(this::poll);
    if (idle.isPresent()) {
      return idle.get();
    }
    return netns.isPresent() ? netns.get().call(opener) : opener.run();
  }

  private synchronized Optional<S> poll(NetNs.Identity host) {
    Deque<IdleSocket<S>> idle = byHost.get(host);
    return idle == null
        ? Optional.empty()
        : Optional.ofNullable(idle.poll()).map(IdleSocket::socket);
  }

  /** Keeps a socket of a host for reuse; closes it if a request is pending, or has no host. */
  void release(Optional<NetNs.Identity> host, S socket) {
    if (host.isPresent() && socket.isReusable()) {
      push(host.get(), socket);
    } else {
      socket.close();
    }
  }

  private synchronized void push(NetNs.Identity host, S socket) {
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
    removeExpired().forEach(NetlinkClient::close);
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
