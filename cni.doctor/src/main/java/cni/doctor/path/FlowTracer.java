// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.doctor.path.Sighting.HookPoint;
import cni.doctor.path.Sighting.Marker;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.nftables.Bytes;
import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.Expression;
import cni.netlink.ffm.nftables.Hook;
import cni.netlink.ffm.nftables.InstalledChain;
import cni.netlink.ffm.nftables.NftablesSocket;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.nftables.TraceEvent;
import cni.netlink.ffm.nftables.TraceSocket;
import cni.netlink.ffm.nftables.Transaction;
import cni.netlink.ffm.nftables.Userdata;
import cni.netlink.ffm.packet.ProbeSocket;
import cni.netlink.ffm.route.IpFamily;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Traces the packets of one probe through the rules of a namespace. A table of its own marks the
 * packets before all other rules, and shows in its last chains that none of them dropped the
 * packet. The kernel deletes the table with the socket that it belongs to, even if this process is
 * killed.
 */
final class FlowTracer implements AutoCloseable {
  private static final int REGISTER = 1;
  private static final int TRANSPORT_PORTS = 0;
  private static final int ECHO_IDENTIFIER = 4;

  private static final List<HookPoint> IP_HOOKS = hooks(false);
  private static final List<HookPoint> BRIDGE_HOOKS = hooks(true);

  private final NamespaceView view;
  private final FlowKey key;
  private final NftablesSocket nftables;
  private final TraceSocket trace;
  private final String table;
  private final Map<Chain, HookPoint> baseChains = new HashMap<>();

  /** The headers and the hook of the packet that an event without headers is about, by its id. */
  private final Map<Integer, Current> current = new HashMap<>();

  private record Current(HookPoint hook, TraceEvent.Headers headers) {}

  private FlowTracer(
      NamespaceView view, FlowKey key, NftablesSocket nftables, TraceSocket trace, String table) {
    this.view = view;
    this.key = key;
    this.nftables = nftables;
    this.trace = trace;
    this.table = table;
  }

  private static List<HookPoint> hooks(boolean bridge) {
    List<HookPoint> hooks = new ArrayList<>();
    for (int number = Hook.PREROUTING; number <= Hook.POSTROUTING; number++) {
      hooks.add(new HookPoint(bridge, number));
    }
    return hooks;
  }

  /**
   * Starts to trace.
   *
   * @param table the name of the table, unique in the namespace
   * @param destinationPort a port by which the packets are recognized, too, because their source
   *     port may have been translated; empty for none. For ICMP, all echo requests are examined
   * @throws IOException if the kernel refuses it: it has no nf_tables, or is older than 5.12
   */
  static FlowTracer start(
      NamespaceView view, FlowKey key, String table, OptionalInt destinationPort)
      throws IOException {
    NftablesSocket nftables = NftablesSocket.open(view.netns());
    try {
      TraceSocket trace = TraceSocket.open(view.netns());
      var tracer = new FlowTracer(view, key, nftables, trace, table);
      try {
        tracer.install(destinationPort);
        return tracer;
      } catch (IOException | RuntimeException e) {
        trace.close();
        throw e;
      }
    } catch (IOException | RuntimeException e) {
      nftables.close();
      throw e;
    }
  }

  private void install(OptionalInt destinationPort) throws IOException {
    for (InstalledChain chain : nftables.baseChains()) {
      int number = chain.hook().map(Hook::point).orElse(-1);
      baseChains.put(chain.chain(), HookPoint.of(chain.chain().family(), number));
    }
    var transaction = new Transaction();
    addTable(transaction, TableFamily.INET, IP_HOOKS, destinationPort);
    nftables.commit(transaction);
    try {
      var bridge = new Transaction();
      addTable(bridge, TableFamily.BRIDGE, BRIDGE_HOOKS, destinationPort);
      nftables.commit(bridge);
    } catch (NetlinkException e) {
      // A kernel without rules for bridged frames has none that could drop one.
    }
  }

  private void addTable(
      Transaction transaction,
      TableFamily family,
      List<HookPoint> hooks,
      OptionalInt destinationPort) {
    transaction.addOwned(new Table(family, table));
    for (HookPoint hook : hooks) {
      Chain first = chain(hook, Marker.FIRST);
      transaction.add(first, new Hook("filter", hook.number(), Integer.MIN_VALUE));
      transaction.append(first, sent());
      if (key.kind() != ProbeSocket.Kind.ECHO) { // answers have the identifier of the request
        transaction.append(first, marking(portCondition(TRANSPORT_PORTS + 2, key.sourcePort())));
      }
      if (destinationPort.isPresent()) {
        transaction.append(first, marking(destinationCondition(destinationPort.getAsInt())));
      }
      Chain last = chain(hook, Marker.LAST);
      transaction.add(last, new Hook("filter", hook.number(), Integer.MAX_VALUE));
      baseChains.put(first, hook);
      baseChains.put(last, hook);
    }
  }

  private Chain chain(HookPoint hook, Marker marker) {
    TableFamily family = hook.bridge() ? TableFamily.BRIDGE : TableFamily.INET;
    return new Table(family, table).chain(marker.name().toLowerCase(Locale.ROOT) + hook.number());
  }

  private Rule sent() {
    int offset = key.kind() == ProbeSocket.Kind.ECHO ? ECHO_IDENTIFIER : TRANSPORT_PORTS;
    return marking(portCondition(offset, key.sourcePort()));
  }

  /** The type and code of an echo request take the place of ports. */
  private List<Expression> destinationCondition(int port) {
    int echoRequest = key.family() == IpFamily.IPV4 ? 0x0800 : 0x8000;
    return key.kind() == ProbeSocket.Kind.ECHO
        ? portCondition(0, echoRequest)
        : portCondition(TRANSPORT_PORTS + 2, port);
  }

  private static List<Expression> portCondition(int offset, int port) {
    return List.of(
        new Expression.Payload(Expression.Payload.TRANSPORT_HEADER, offset, 2, REGISTER),
        new Expression.Compare(Expression.Compare.EQUAL, REGISTER, Bytes.be16(port)));
  }

  private Rule marking(List<Expression> condition) {
    List<Expression> expressions = new ArrayList<>();
    byte protocol = (byte) key.kind().protocol(key.family());
    expressions.add(new Expression.Meta(Expression.Meta.TRANSPORT_PROTOCOL, REGISTER));
    expressions.add(new Expression.Compare(Expression.Compare.EQUAL, REGISTER, Bytes.of(protocol)));
    expressions.addAll(condition);
    expressions.add(new Expression.Immediate(REGISTER, Bytes.of((byte) 1)));
    expressions.add(new Expression.TraceFlag(REGISTER));
    return new Rule(expressions, Userdata.comment("cni why traces one packet"));
  }

  /**
   * Returns where packets of the probe have been seen since the last call.
   *
   * @throws IOException if the kernel's events cannot be read
   */
  List<Sighting> drain() throws IOException {
    List<Sighting> sightings = new ArrayList<>();
    for (TraceEvent event : trace.drain()) {
      HookPoint base = baseChains.get(event.chain());
      Current known = current.get(event.id());
      // The first event of a packet in a base chain has headers, and is always one of that chain.
      if (event.headers().isPresent() && base != null) {
        known = new Current(base, event.headers().get());
        current.put(event.id(), known);
      }
      if (known != null) {
        add(event, known, sightings);
      }
    }
    return sightings;
  }

  private void add(TraceEvent event, Current known, List<Sighting> sightings) {
    key.direction(known.headers())
        .ifPresent(
            direction ->
                sightings.add(
                    new Sighting(
                        view, known.hook(), marker(event), event, known.headers(), direction)));
  }

  private Optional<Marker> marker(TraceEvent event) {
    if (!event.chain().table().name().equals(table)) {
      return Optional.empty();
    }
    return Optional.of(event.chain().name().startsWith("first") ? Marker.FIRST : Marker.LAST);
  }

  boolean isOf(NamespaceView other) {
    return view == other;
  }

  NftablesSocket nftables() {
    return nftables;
  }

  /**
   * Deletes the tables before closing the socket that they belong to: a process that another thread
   * starts at this moment keeps the closed socket open until it executes its program.
   */
  @Override
  public void close() {
    trace.close();
    delete(TableFamily.INET);
    delete(TableFamily.BRIDGE);
    nftables.close();
  }

  private void delete(TableFamily family) {
    try {
      nftables.commit(new Transaction().delete(new Table(family, table)));
    } catch (IOException e) {
      // It was not added; otherwise the kernel deletes it with the socket.
    }
  }
}
