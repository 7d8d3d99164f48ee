// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.netlink.ffm.nftables.NamedSet;
import cni.netlink.ffm.nftables.SetElement;
import cni.netlink.ffm.nftables.TrackedConnection;
import cni.netlink.ffm.nftables.Transaction;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.plugins.support.NetNsSession;
import cni.policy.PolicyEvaluator;
import cni.policy.PolicyState;
import java.io.IOException;
import java.net.InetAddress;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Cuts the connections that a change of policies or labels forbids. Their packets in the direction
 * of the first one are dropped by the rules at once. A reply would continue as a new connection in
 * the other direction once the entry of the old one is gone, since the kernel picks up connections
 * in the middle (nf_conntrack_tcp_loose): sets of the inet table have the exact connections, in
 * both directions, until both ends have given up.
 */
public final class ConnectionCut {
  /** Longer than TCP retransmits by default (tcp_retries2 of tcp(7): 13 to 30 minutes). */
  private static final Duration TIMEOUT = Duration.ofMinutes(30);

  private final NetNsSession host;

  public ConnectionCut(NetNsSession host) {
    this.host = host;
  }

  /**
   * Cuts what a state forbids, and lets continue what it allows again. It can be repeated.
   *
   * @param known the connections that have been cut before, with the time until which they are.
   *     They stay so if other programs have removed the sets: meanwhile the kernel has picked them
   *     up in either direction, of which one may be allowed
   * @return those that are cut now
   * @throws IOException if the kernel refuses
   */
  public Map<CutFlow, Instant> apply(PolicyState after, Map<CutFlow, Instant> known)
      throws IOException {
    if (!host.nftables().exists(InetTable.TABLE)) {
      return Map.of();
    }
    Instant now = Instant.now();
    var evaluator = PolicyEvaluator.of(after, hostAddresses());
    Map<CutFlow, Instant> cut = new HashMap<>(known);
    cut.values().removeIf(now::isAfter);
    cut.keySet().removeIf(it -> !it.isForbidden(evaluator));
    List<TrackedConnection> connections = new ArrayList<>();
    for (TrackedConnection connection : host.conntrack().connections()) {
      if (CutFlow.isOne(connection)) {
        var flow = CutFlow.of(connection);
        boolean isForbidden = flow.isForbidden(evaluator);
        if (isForbidden || cut.containsKey(flow.reversed())) {
          connections.add(connection);
        }
        if (isForbidden && flow.hasPorts()) {
          cut.put(flow, now.plus(TIMEOUT));
        }
      }
    }
    var transaction = new Transaction();
    for (boolean isV4 : new boolean[] {true, false}) {
      removeAllowed(evaluator, isV4, transaction);
      add(cut.keySet(), isV4, transaction);
    }
    if (!transaction.isEmpty()) {
      host.nftables().commit(transaction);
    }
    host.conntrack().delete(connections);
    return cut;
  }

  /** Returns the addresses of the host. */
  public Set<InetAddress> hostAddresses() throws IOException {
    Set<InetAddress> addresses = new HashSet<>();
    for (InterfaceAddress address : host.rtnetlink().addresses()) {
      addresses.add(address.address());
    }
    return addresses;
  }

  private static void add(Set<CutFlow> cut, boolean isV4, Transaction transaction) {
    List<CutFlow> added = cut.stream().filter(it -> it.isV4() == isV4).toList();
    if (!added.isEmpty()) {
      transaction.add(InetTable.TABLE, original(isV4), elements(added), TIMEOUT);
      transaction.add(InetTable.TABLE, reply(isV4), repliesTo(added), TIMEOUT);
    }
  }

  private static List<SetElement> elements(List<CutFlow> connections) {
    return connections.stream().map(CutFlow::element).toList();
  }

  private static List<SetElement> repliesTo(List<CutFlow> connections) {
    return connections.stream().map(it -> it.reversed().element()).toList();
  }

  private static NamedSet original(boolean isV4) {
    return isV4 ? InetTable.CUT_4 : InetTable.CUT_6;
  }

  private static NamedSet reply(boolean isV4) {
    return isV4 ? InetTable.CUT_REPLIES_4 : InetTable.CUT_REPLIES_6;
  }

  private void removeAllowed(PolicyEvaluator evaluator, boolean isV4, Transaction transaction)
      throws IOException {
    List<CutFlow> allowed =
        host.nftables().elements(InetTable.TABLE, original(isV4)).keySet().stream()
            .map(it -> CutFlow.of(it, isV4))
            .filter(it -> !it.isForbidden(evaluator))
            .toList();
    if (!allowed.isEmpty()) {
      transaction.deletePresent(InetTable.TABLE, original(isV4), elements(allowed));
      transaction.deletePresent(InetTable.TABLE, reply(isV4), repliesTo(allowed));
    }
  }
}
