// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import cni.netlink.ffm.netns.NetNs;
import cni.plugins.meta.policy.PolicyWorld.Node;
import cni.policy.Protocol;
import java.io.IOException;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.channels.SelectableChannel;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Sends packets between all pairs of nodes at once and finds out which arrive. What arrives is seen
 * at the destination's interface; replies are seen by the source. TCP and UDP use sockets; ICMP and
 * SCTP, of which the kernel may have no sockets, are frames made here.
 */
final class Reachability {
  /** The time in which nothing that is forbidden may arrive, after what is allowed has. */
  private static final Duration GRACE = Duration.ofMillis(100);

  /** The time in which what is allowed must have arrived. */
  private static final Duration TIMEOUT = Duration.ofSeconds(30);

  private static final Duration RETRY = Duration.ofMillis(400);

  private final PolicyWorld world;
  private int lastId = 1000;

  Reachability(PolicyWorld world) {
    this.world = world;
  }

  /** A packet with what it asks for. */
  record Probe(String from, String to, boolean isV4, Protocol protocol, int port)
      implements Comparable<Probe> {
    @Override
    public String toString() {
      String service =
          protocol == Protocol.ICMP ? "icmp" : (protocol + "/" + port).toLowerCase(Locale.ROOT);
      return "%s>%s %s %s".formatted(from, to, isV4 ? "v4" : "v6", service);
    }

    @Override
    public int compareTo(Probe other) {
      return toString().compareTo(other.toString());
    }
  }

  /** A probe that is on its way. */
  private static final class Pending {
    final Probe probe;
    final Node from;
    final Node to;
    final boolean expected;
    final InetAddress source;
    @Nullable SelectableChannel channel;
    int sourcePort;
    boolean arrived;
    boolean answered;

    Pending(PolicyWorld world, Probe probe, boolean expected) {
      this.probe = probe;
      from = world.node(probe.from());
      to = world.node(probe.to());
      this.expected = expected;
      source = world.source(from, to, probe.isV4());
    }

    InetAddress source() {
      return source;
    }

    InetAddress destination() {
      return to.address(probe.isV4());
    }

    boolean hasSocket() {
      return probe.protocol() == Protocol.TCP || probe.protocol() == Protocol.UDP;
    }

    /** The host sees its own interface before the rules: there, only replies count. */
    boolean isSeenAtDestination() {
      return !to.name().equals(PolicyWorld.HOST);
    }

    boolean isDone() {
      boolean isAnswered = answered || probe.protocol() == Protocol.SCTP; // nobody listens
      return isAnswered && (arrived || !isSeenAtDestination());
    }
  }

  /** Identifies a packet at its destination. */
  private record Key(
      InetAddress source, InetAddress destination, int protocol, int sourcePort, int port) {}

  /**
   * Sends probes and returns how their fate differs from what is expected: a line for each.
   *
   * @param probes whether each is expected to arrive
   */
  List<String> faults(Map<Probe, Boolean> probes) throws IOException {
    List<Pending> all = new ArrayList<>();
    probes.forEach((probe, expected) -> all.add(new Pending(world, probe, expected)));
    for (String name : tapped(all)) {
      var _ = world.tap(name).received();
    }
    try (Selector selector = Selector.open()) {
      openSockets(all, selector);
      Map<Key, Pending> byKey = new HashMap<>();
      all.forEach(it -> byKey.put(key(it), it));
      exchange(all, byKey, selector);
    } finally {
      for (Pending it : all) {
        if (it.channel != null) {
          it.channel.close();
        }
      }
    }
    return all.stream().map(Reachability::fault).filter(it -> !it.isEmpty()).sorted().toList();
  }

  private static Collection<String> tapped(List<Pending> all) {
    Collection<String> names = new TreeSet<>();
    for (Pending it : all) {
      names.add(it.from.name());
      names.add(it.to.name());
    }
    names.remove("far"); // the same interface as out
    names.remove(PolicyWorld.HOST);
    return names;
  }

  private void openSockets(List<Pending> all, Selector selector) throws IOException {
    Map<NetNs, List<Pending>> byNetns = new LinkedHashMap<>();
    for (Pending it : all) {
      if (it.hasSocket()) {
        byNetns.computeIfAbsent(it.from.netns(), _ -> new ArrayList<>()).add(it);
      } else {
        it.sourcePort = nextId();
      }
    }
    for (Map.Entry<NetNs, List<Pending>> entry : byNetns.entrySet()) {
      entry
          .getKey()
          .<Integer, IOException>call(
              () -> {
                for (Pending it : entry.getValue()) {
                  open(it, selector);
                }
                return entry.getValue().size();
              });
    }
  }

  private int nextId() {
    lastId = lastId >= 65000 ? 1000 : lastId + 1;
    return lastId;
  }

  private static void open(Pending it, Selector selector) throws IOException {
    var family = it.probe.isV4() ? StandardProtocolFamily.INET : StandardProtocolFamily.INET6;
    var source = new InetSocketAddress(it.source(), 0);
    var target = new InetSocketAddress(it.destination(), it.probe.port());
    if (it.probe.protocol() == Protocol.TCP) {
      SocketChannel channel = SocketChannel.open(family);
      it.channel = channel;
      channel.setOption(StandardSocketOptions.SO_LINGER, 0); // ends by RST: no TIME_WAIT
      channel.bind(source).configureBlocking(false);
      channel.connect(target);
      it.sourcePort = ((InetSocketAddress) channel.getLocalAddress()).getPort();
      channel.register(selector, SelectionKey.OP_CONNECT, it);
    } else {
      DatagramChannel channel = DatagramChannel.open(family);
      it.channel = channel;
      channel.bind(source).connect(target).configureBlocking(false);
      it.sourcePort = ((InetSocketAddress) channel.getLocalAddress()).getPort();
      channel.register(selector, SelectionKey.OP_READ, it);
    }
  }

  private static Key key(Pending it) {
    return new Key(
        it.source(),
        it.destination(),
        it.probe.protocol().number(it.destination() instanceof Inet4Address),
        it.sourcePort,
        it.probe.port());
  }

  private void exchange(List<Pending> all, Map<Key, Pending> byKey, Selector selector)
      throws IOException {
    Collection<String> taps = tapped(all);
    long start = System.nanoTime();
    long sent = start - RETRY.toNanos();
    long complete = 0;
    while (System.nanoTime() - start < TIMEOUT.toNanos()) {
      boolean isFirst = sent < start;
      if (System.nanoTime() - sent >= RETRY.toNanos()) {
        sent = System.nanoTime();
        send(all, isFirst);
      }
      selector.select(20);
      for (SelectionKey key : selector.selectedKeys()) {
        handle(key);
      }
      selector.selectedKeys().clear();
      for (String name : taps) {
        world.tap(name).received().forEach(frame -> note(frame, byKey));
      }
      boolean done = all.stream().allMatch(it -> !it.expected || it.isDone());
      if (done && complete == 0) {
        complete = System.nanoTime();
      } else if (done && System.nanoTime() - complete > GRACE.toNanos()) {
        return;
      }
    }
  }

  /** Sends datagrams and frames; again only those that are expected and have got no reply. */
  private void send(List<Pending> all, boolean isFirst) throws IOException {
    Map<String, List<byte[]>> frames = new HashMap<>();
    for (Pending it : all) {
      if (!isFirst && (!it.expected || it.isDone())) {
        continue;
      }
      if (it.channel instanceof DatagramChannel udp) {
        write(udp);
      } else if (!it.hasSocket()) {
        frames.computeIfAbsent(it.from.name(), _ -> new ArrayList<>()).add(frame(it));
      }
    }
    for (Map.Entry<String, List<byte[]>> entry : frames.entrySet()) {
      world.tap(entry.getKey()).send(entry.getValue().toArray(byte[][]::new));
    }
  }

  private static void write(DatagramChannel udp) {
    try {
      udp.write(ByteBuffer.wrap(new byte[] {'?'}));
    } catch (IOException e) {
      // an ICMP error for an earlier datagram: the reply is still missing
    }
  }

  private byte[] frame(Pending it) {
    Frames.Ip packet =
        it.probe.protocol() == Protocol.ICMP
            ? Frames.echo(it.source(), it.destination(), it.sourcePort, new byte[16])
            : Frames.init(it.source(), it.destination(), it.sourcePort, it.probe.port());
    return Frames.ip(it.from.mac(), world.nextHop(it.from, it.to), packet);
  }

  private static void handle(SelectionKey key) {
    var it = (Pending) key.attachment();
    try {
      if (key.isConnectable() && key.channel() instanceof SocketChannel tcp) {
        tcp.finishConnect();
        key.interestOps(SelectionKey.OP_READ);
      } else if (key.isReadable()) {
        ByteBuffer buffer = ByteBuffer.allocate(64);
        int length =
            key.channel() instanceof SocketChannel tcp
                ? tcp.read(buffer)
                : ((DatagramChannel) key.channel()).read(buffer);
        it.answered |= length > 0;
        if (length < 0 || key.channel() instanceof SocketChannel) {
          key.cancel();
        }
      }
    } catch (IOException e) {
      if (key.channel() instanceof SocketChannel) {
        key.cancel();
      }
    }
  }

  private static void note(byte[] frame, Map<Key, Pending> byKey) {
    Optional<Frames.Packet> packet = Frames.packet(frame);
    if (packet.isEmpty()) {
      return;
    }
    Frames.Packet it = packet.get();
    boolean isIcmp = it.protocol() == Frames.ICMP || it.protocol() == Frames.ICMPV6;
    boolean isEchoReply = isIcmp && isReply(it);
    int port = isIcmp ? 0 : it.destinationPort();
    Pending request =
        byKey.get(
            isEchoReply
                ? new Key(it.destination(), it.source(), it.protocol(), it.sourcePort(), 0)
                : new Key(it.source(), it.destination(), it.protocol(), it.sourcePort(), port));
    if (request != null) {
      request.arrived |= !isEchoReply;
      request.answered |= isEchoReply;
    }
  }

  private static boolean isReply(Frames.Packet packet) {
    return (packet.protocol() == Frames.ICMP && packet.destinationPort() == 0)
        || (packet.protocol() == Frames.ICMPV6 && packet.destinationPort() == 129);
  }

  private static String fault(Pending it) {
    if (it.expected) {
      return it.isDone()
          ? ""
          : "%s: allowed, but %s"
              .formatted(it.probe, it.arrived ? "the reply did not arrive" : "it did not arrive");
    }
    return it.arrived || it.answered
        ? "%s: forbidden, but %s"
            .formatted(it.probe, it.answered ? "there was a reply" : "it arrived")
        : "";
  }
}
