// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import static cni.doctor.path.PathWorld.PORT;

import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.IpFamily;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The situations of {@link PathFateTest}. */
final class PathSituations {
  /**
   * A packet in a situation.
   *
   * @param family the IP version
   * @param fate what should become of the packet
   * @param cause the obstacle; empty for none
   */
  record Situation(
      String name,
      IpFamily family,
      ProbeProtocol protocol,
      Setup setup,
      Fate fate,
      Optional<PathCause> cause) {
    @Override
    public String toString() {
      return name + ", " + protocol + " " + family;
    }
  }

  /** Makes a situation. */
  @FunctionalInterface
  interface Setup {
    Packet make(PathWorld world) throws Exception;
  }

  /**
   * A packet.
   *
   * @param isServed whether a server answers
   */
  record Packet(NetNs from, NetNs to, InetAddress address, int port, int size, boolean isServed) {
    static Packet to(NetNs from, NetNs to, InetAddress address) {
      return new Packet(from, to, address, PORT, 0, true);
    }

    Packet withPort(int other) {
      return new Packet(from, to, address, other, size, isServed);
    }

    Packet ofSize(int bytes) {
      return new Packet(from, to, address, port, bytes, isServed);
    }

    Packet unserved() {
      return new Packet(from, to, address, port, size, false);
    }
  }

  /** A change to two containers on a bridge, after which one sends to the other. */
  @FunctionalInterface
  interface Change {
    void make(PathWorld world) throws Exception;
  }

  private final List<Situation> situations = new ArrayList<>();

  /** Returns all situations. */
  static List<Situation> all() {
    var all = new PathSituations();
    all.onOneBridge();
    all.inNamespaces();
    all.byRules();
    all.acrossTheHost();
    all.publishedPorts();
    all.otherPlugins();
    return all.situations;
  }

  private void both(
      String name, ProbeProtocol protocol, Fate fate, @Nullable PathCause cause, Setup setup) {
    for (IpFamily family : IpFamily.values()) {
      one(name, family, protocol, fate, cause, setup);
    }
  }

  private void one(
      String name,
      IpFamily family,
      ProbeProtocol protocol,
      Fate fate,
      @Nullable PathCause cause,
      Setup setup) {
    situations.add(new Situation(name, family, protocol, setup, fate, Optional.ofNullable(cause)));
  }

  private static Setup bridged(Change change) {
    return world -> {
      world.bridge();
      world.serve(world.b());
      Packet packet = Packet.to(world.a(), world.b(), world.address(world.b()));
      change.make(world);
      return packet;
    };
  }

  private static Setup routed(Change change) {
    return world -> {
      world.bridge("n", 50, "", "", world.a());
      world.bridge("m", 60, "", "", world.b());
      world.serve(world.b());
      Packet packet = Packet.to(world.a(), world.b(), world.address(world.b()));
      change.make(world);
      return packet;
    };
  }

  private static String port(NetNs container, PathWorld world) throws Exception {
    for (var it : world.cni().attachments()) {
      if (it.attachment().containerId().equals(TestBed.nameOf(container))) {
        return it.result().interfaces().stream()
            .filter(link -> link.isOnHost() && link.name().startsWith("veth"))
            .findFirst()
            .orElseThrow()
            .name();
      }
    }
    throw new AssertionError(container);
  }

  private void onOneBridge() {
    for (ProbeProtocol protocol : ProbeProtocol.values()) {
      both("one bridge", protocol, Fate.ARRIVES, null, bridged(world -> {}));
      both(
          "destination interface down",
          protocol,
          Fate.LOST,
          PathCause.LINK_DOWN,
          bridged(world -> PathWorld.in(world.b(), "ip", "link", "set", "eth0", "down")));
    }
    Setup unserved =
        world -> {
          world.bridge();
          return Packet.to(world.a(), world.b(), world.address(world.b())).unserved();
        };
    both("nothing listens", ProbeProtocol.TCP, Fate.ARRIVES, PathCause.NO_LISTENER, unserved);
    both("nothing listens", ProbeProtocol.UDP, Fate.ARRIVES, PathCause.NO_LISTENER, unserved);
    both(
        "bridge down",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.LINK_DOWN,
        bridged(world -> world.host("ip", "link", "set", "br50", "down")));
    both(
        "host's end of the veth down",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.LINK_DOWN,
        bridged(world -> world.host("ip", "link", "set", port(world.b(), world), "down")));
    both(
        "address missing",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.ADDRESS_MISSING,
        bridged(
            world ->
                world.ip(
                    world.b(),
                    "addr del "
                        + text(world.address(world.b()))
                        + (world.isV4() ? "/24" : "/64")
                        + " dev eth0")));
    both(
        "isolated ports",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.ISOLATED_PORTS,
        bridged(
            world -> {
              for (NetNs container : List.of(world.a(), world.b())) {
                world.host(
                    "ip",
                    "link",
                    "set",
                    port(container, world),
                    "type",
                    "bridge_slave",
                    "isolated",
                    "on");
              }
            }));
    both(
        "port taken out of the bridge",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.NOT_ON_LINK,
        bridged(world -> world.host("ip", "link", "set", port(world.b(), world), "nomaster")));
    both(
        "wrong neighbour",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.NEIGHBOUR_WRONG,
        bridged(
            world ->
                world.ip(
                    world.a(),
                    "neigh replace "
                        + text(world.address(world.b()))
                        + " lladdr 02:00:00:00:00:99 dev eth0 nud permanent")));
    both(
        "namespace gone",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.NAMESPACE_GONE,
        world -> {
          world.bridge();
          Packet packet = Packet.to(world.a(), world.b(), world.address(world.b()));
          world.remove(world.b(), port(world.b(), world));
          return packet;
        });
    both(
        "MTU of the port too small",
        ProbeProtocol.ICMP,
        Fate.LOST,
        PathCause.MTU,
        world -> {
          Packet packet =
              bridged(it -> it.host("ip", "link", "set", port(it.b(), it), "mtu", "1300"))
                  .make(world);
          return packet.ofSize(1400);
        });
    both(
        "longer than the own interface's MTU",
        ProbeProtocol.UDP,
        Fate.LOST,
        PathCause.MTU,
        world -> bridged(it -> {}).make(world).ofSize(1600));
    both(
        "large packet that fits",
        ProbeProtocol.ICMP,
        Fate.ARRIVES,
        null,
        world -> bridged(it -> {}).make(world).ofSize(1500));
  }

  private void inNamespaces() {
    both(
        "source interface down",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.LINK_DOWN,
        bridged(world -> PathWorld.in(world.a(), "ip", "link", "set", "eth0", "down")));
    both(
        "no route",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.NO_ROUTE,
        routed(world -> world.ip(world.a(), "route del default")));
    for (PathCause cause :
        List.of(PathCause.BLACKHOLE, PathCause.UNREACHABLE, PathCause.PROHIBITED)) {
      String type =
          cause == PathCause.PROHIBITED ? "prohibit" : cause.name().toLowerCase(Locale.ROOT);
      both(
          type + " route of the source",
          ProbeProtocol.TCP,
          Fate.LOST,
          cause,
          bridged(
              world ->
                  world.ip(world.a(), "route add " + type + " " + text(world.address(world.b())))));
      both(
          type + " route of the host",
          ProbeProtocol.TCP,
          Fate.LOST,
          cause,
          routed(
              world ->
                  world.ip(
                      world.host().netns(),
                      "route add " + type + " " + text(world.address(world.b())))));
    }
    both(
        "blackhole for the answer",
        ProbeProtocol.TCP,
        Fate.UNANSWERED,
        PathCause.BLACKHOLE,
        bridged(
            world -> world.ip(world.b(), "route add blackhole " + text(world.address(world.a())))));
    both(
        "datagram without way back",
        ProbeProtocol.UDP,
        Fate.ARRIVES,
        null,
        bridged(
            world -> world.ip(world.b(), "route add blackhole " + text(world.address(world.a())))));
  }

  private void byRules() {
    rule("drop in input of the destination", "input priority 0", "drop", PathWorld::b);
    rule("drop in output of the source", "output priority 0", "drop", PathWorld::a);
    rule("drop in prerouting of the destination", "prerouting priority -300", "drop", PathWorld::b);
    rule("reject in the destination", "input priority 0", "reject", PathWorld::b);
    for (ProbeProtocol protocol : ProbeProtocol.values()) {
      both(
          "bridge table",
          protocol,
          Fate.LOST,
          PathCause.RULE,
          bridged(
              world ->
                  world.nft(
                      world.host().netns(),
                      "bridge",
                      "forward priority 0",
                      match(world, protocol) + " counter drop")));
    }
    both(
        "chain policy drop",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.CHAIN_POLICY,
        bridged(
            world ->
                world.nft(
                    world.b(),
                    "inet",
                    "input priority 10; policy drop",
                    "meta l4proto ipv6-icmp accept; ct state established accept")));
    both(
        "drop of the answer",
        ProbeProtocol.TCP,
        Fate.UNANSWERED,
        PathCause.RULE,
        bridged(
            world ->
                world.nft(world.a(), "inet", "input priority 0", "tcp sport 8080 counter drop")));
    both(
        "drop in forward, by br_netfilter",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.RULE,
        bridged(
            world ->
                world.nft(
                    world.host().netns(),
                    "inet",
                    "forward priority 0",
                    "tcp dport 8080 counter drop")));
    for (String target : List.of("DROP", "REJECT")) {
      for (ProbeProtocol protocol : List.of(ProbeProtocol.TCP, ProbeProtocol.UDP)) {
        both(
            "iptables -j " + target,
            protocol,
            Fate.LOST,
            PathCause.RULE,
            routed(world -> dropByIptables(world, protocol, target)));
      }
    }
    both(
        "iptables policy DROP",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.CHAIN_POLICY,
        routed(world -> world.host(world.iptables(), "-P", "FORWARD", "DROP")));
    policy("denies ingress", "b", "Ingress", Fate.LOST, "[]");
    policy("denies egress", "a", "Egress", Fate.LOST, "[]");
    policy("allows ingress", "b", "Ingress", Fate.ARRIVES, "[{}]");
    policy("allows egress", "a", "Egress", Fate.ARRIVES, "[{}]");
  }

  private static void dropByIptables(PathWorld world, ProbeProtocol protocol, String target)
      throws IOException {
    String name = protocol.name().toLowerCase(Locale.ROOT);
    String rule = "-A FORWARD -p " + name + " --dport 8080 -m comment --comment no -j " + target;
    world.host((world.iptables() + " " + rule).split(" "));
  }

  private void policy(String name, String selected, String type, Fate fate, String rules) {
    String file =
        """
        { "name": "web", "podSelector": { "matchLabels": { "app": "%s" } },
          "policyTypes": ["%s"], "%s": %s }
        """
            .formatted(selected, type, type.equals("Ingress") ? "ingress" : "egress", rules);
    both(
        "policy " + name,
        ProbeProtocol.TCP,
        fate,
        fate == Fate.LOST ? PathCause.RULE : null,
        world -> {
          world.policies(file);
          world.serve(world.b());
          return Packet.to(world.a(), world.b(), world.address(world.b()));
        });
  }

  private static String match(PathWorld world, ProbeProtocol protocol) {
    return switch (protocol) {
      case TCP -> "meta l4proto tcp th dport 8080";
      case UDP -> "meta l4proto udp th dport 8080";
      case ICMP -> world.isV4() ? "icmp type echo-request" : "icmpv6 type echo-request";
    };
  }

  private interface Where {
    NetNs of(PathWorld world);
  }

  private void rule(String name, String hook, String verdict, Where where) {
    for (ProbeProtocol protocol : ProbeProtocol.values()) {
      both(
          name,
          protocol,
          Fate.LOST,
          PathCause.RULE,
          bridged(
              world ->
                  world.nft(
                      where.of(world),
                      "inet",
                      hook,
                      match(world, protocol) + " counter " + verdict)));
    }
  }

  private void acrossTheHost() {
    for (ProbeProtocol protocol : ProbeProtocol.values()) {
      both("two bridges", protocol, Fate.ARRIVES, null, routed(world -> {}));
      both(
          "container to host",
          protocol,
          Fate.ARRIVES,
          null,
          world -> {
            world.bridge();
            world.serve(world.host().netns());
            return Packet.to(world.a(), world.host().netns(), world.either("10.50.0.1", "fd50::1"));
          });
      both(
          "host to container",
          protocol,
          Fate.ARRIVES,
          null,
          world -> {
            world.bridge();
            world.serve(world.b());
            return Packet.to(world.host().netns(), world.b(), world.address(world.b()));
          });
      both("with masquerade", protocol, Fate.ARRIVES, null, toOutside("\"ipMasq\": true,"));
    }
    both(
        "without masquerade",
        ProbeProtocol.TCP,
        Fate.UNANSWERED,
        PathCause.NO_ANSWER,
        unobserved(toOutside("")));
    both(
        "drop in input of the host",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.RULE,
        world -> {
          world.bridge();
          world.serve(world.host().netns());
          world.host(world.iptables(), "-A", "INPUT", "-p", "tcp", "--dport", "8080", "-j", "DROP");
          return Packet.to(world.a(), world.host().netns(), world.either("10.50.0.1", "fd50::1"));
        });
    both(
        "forwarding off",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.NOT_FORWARDING,
        routed(
            world ->
                world.host(
                    "sysctl",
                    "-w",
                    world.isV4() ? "net.ipv4.ip_forward=0" : "net.ipv6.conf.all.forwarding=0")));
    one(
        "reverse path filter",
        IpFamily.IPV4,
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.REVERSE_PATH,
        routed(
            world -> {
              world.outside();
              world.host("sysctl", "-w", "net.ipv4.conf.br50.rp_filter=1");
              world.host("ip", "route", "add", text(world.address(world.a())), "via", "192.0.2.2");
            }));
    both(
        "host without route",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.NO_ROUTE,
        world -> {
          world.bridge();
          return Packet.to(world.a(), world.b(), world.either("203.0.113.9", "2001:db8:9::9"))
              .unserved();
        });
    both(
        "nobody answers for the next hop",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.NEIGHBOUR_UNRESOLVED,
        world -> {
          world.bridge();
          world.outside();
          return Packet.to(world.a(), world.outside(), world.either("192.0.2.77", "2001:db8::77"))
              .unserved();
        });
  }

  private static Setup toOutside(String options) {
    return world -> {
      NetNs outside = world.outside();
      world.bridge("n", 50, options, "", world.a());
      world.serve(outside);
      return Packet.to(world.a(), outside, world.either("192.0.2.2", "2001:db8::2"));
    };
  }

  /** The destination is given by its address, as that of a machine that cannot be entered. */
  private static Setup unobserved(Setup setup) {
    return world -> {
      Packet it = setup.make(world);
      return new Packet(it.from(), world.host().netns(), it.address(), it.port(), 0, true);
    };
  }

  private void publishedPorts() {
    for (ProbeProtocol protocol : List.of(ProbeProtocol.TCP, ProbeProtocol.UDP)) {
      published("from outside", protocol, world -> world.outside());
      published("from the host", protocol, world -> world.host().netns());
      published("from itself", protocol, PathWorld::b);
      published(
          "from another container",
          protocol,
          world -> {
            world.cni().network("n").add(TestHost.attachment(world.a()));
            return world.a();
          });
    }
    both(
        "published to a port without program",
        ProbeProtocol.TCP,
        Fate.ARRIVES,
        PathCause.NO_LISTENER,
        world -> {
          NetNs outside = world.outside();
          world.publish(world.b(), 81);
          return Packet.to(outside, world.host().netns(), world.either("192.0.2.1", "2001:db8::1"))
              .withPort(8000)
              .unserved();
        });
    both(
        "published to an address that no container has",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.ADDRESS_MISSING,
        world -> {
          NetNs outside = world.outside();
          world.bridge();
          String dnat = world.isV4() ? "ip to 10.50.0.99:80" : "ip6 to [fd50::99]:80";
          world.nft(
              world.host().netns(),
              "inet",
              "prerouting priority -100",
              "}\n chain d { type nat hook prerouting priority -100; tcp dport 8000 dnat " + dnat);
          return Packet.to(outside, world.host().netns(), world.either("192.0.2.1", "2001:db8::1"))
              .withPort(8000);
        });
  }

  private interface Client {
    NetNs of(PathWorld world) throws Exception;
  }

  private void published(String name, ProbeProtocol protocol, Client client) {
    both(
        "published port " + name,
        protocol,
        Fate.ARRIVES,
        null,
        world -> {
          world.outside();
          world.publish(world.b(), PORT);
          world.serve(world.b());
          return Packet.to(
                  client.of(world), world.host().netns(), world.either("192.0.2.1", "2001:db8::1"))
              .withPort(8000);
        });
  }

  private void otherPlugins() {
    both("ptp", ProbeProtocol.TCP, Fate.ARRIVES, null, ptp(world -> {}));
    both(
        "ptp, drop in forward",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.RULE,
        ptp(world -> world.host(world.iptables(), "-A", "FORWARD", "-j", "DROP")));
    both("macvlan", ProbeProtocol.TCP, Fate.ARRIVES, null, macvlan(world -> {}));
    both(
        "macvlan, destination down",
        ProbeProtocol.TCP,
        Fate.LOST,
        PathCause.LINK_DOWN,
        macvlan(world -> PathWorld.in(world.b(), "ip", "link", "set", "eth0", "down")));
  }

  private static Setup ptp(Change change) {
    return world -> {
      world
          .host()
          .network(
              "p",
              "1.1.0",
              """
              { "type": "ptp", "ipam": { "type": "host-local", "dataDir": "@DATA@",
                "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
                "ranges": [[{ "subnet": "10.60.0.0/24" }], [{ "subnet": "fd60::/64" }]] } }
              """);
      return plain(world, "p", change);
    };
  }

  private static Setup macvlan(Change change) {
    return world -> {
      world.outside();
      world
          .host()
          .network(
              "v",
              "1.1.0",
              """
              { "type": "macvlan", "master": "up0",
                "ipam": { "type": "host-local", "dataDir": "@DATA@",
                "ranges": [[{ "subnet": "10.70.0.0/24" }], [{ "subnet": "fd70::/64" }]] } }
              """);
      return plain(world, "v", change);
    };
  }

  private static Packet plain(PathWorld world, String network, Change change) throws Exception {
    world.cni().network(network).add(TestHost.attachment(world.a()));
    world.cni().network(network).add(TestHost.attachment(world.b()));
    world.host().awaitAddresses();
    world.serve(world.b());
    Packet packet = Packet.to(world.a(), world.b(), world.address(world.b()));
    change.make(world);
    return packet;
  }

  static String text(InetAddress address) {
    return address.getHostAddress();
  }
}
