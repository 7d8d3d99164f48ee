// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static cni.netlink.ffm.route.LinkConstants.IFLA_STATS64;
import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.netlink.ffm.Mutations;
import cni.netlink.ffm.NetlinkRequest;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Mutated messages about links, addresses, routes, rules, neighbours, VLANs and nsids. */
class RouteMutationTest {
  private static final InetAddress V4 = InetAddress.ofLiteral("10.1.2.3");
  private static final InetAddress V6 = InetAddress.ofLiteral("fd00::3");

  @Test
  void linksAreReadOrMalformed() throws IOException {
    byte[] conf = ByteBuffer.allocate(240).order(ByteOrder.nativeOrder()).array();
    Mutations.test(
        Mutations.payloads(
            List.of(
                LinkSpec.veth("veth0", LinkSpec.peer("eth0").mtu(1400)).mtu(1400).request(),
                LinkSpec.macvlan("eth0", 7, LinkConstants.MACVLAN_MODE_BRIDGE, 100).request(),
                LinkSpec.ipvlan("eth0", 7, LinkConstants.IPVLAN_MODE_L3).request(),
                LinkSpec.vlan("eth0", 7, 12).request(),
                LinkSpec.vrf("vrf0", 10).request(),
                LinkRequests.setBridgeFiltering(3, true),
                new LinkUpdate(3)
                    .name("eth0")
                    .alias("cni:n/c/eth0")
                    .mac(new byte[6])
                    .txQueueLength(5)
                    .master(4)
                    .request()
                    .nest(
                        LinkConstants.IFLA_AF_SPEC,
                        families ->
                            families.nest(
                                RtnetlinkConstants.AF_INET6,
                                inet6 -> inet6.bytes(LinkConstants.IFLA_INET6_CONF, conf))))),
        Link::read);
  }

  @Test
  void statisticsOfLinksAreReadOrMalformed() throws IOException {
    ByteBuffer counters = ByteBuffer.allocate(25 * Long.BYTES).order(ByteOrder.nativeOrder());
    for (int i = 0; i < 25; i++) {
      counters.putLong(i * Long.BYTES, 100 + i);
    }
    List<byte[]> messages =
        Mutations.payloads(
            List.of(
                new LinkUpdate(3).name("eth0").request().bytes(IFLA_STATS64, counters.array())));
    LinkStatistics read =
        LinkStatistics.read(ByteBuffer.wrap(messages.getFirst()).order(ByteOrder.nativeOrder()));
    assertEquals(new LinkStatistics.Counters(102, 100, 104, 106), read.received());
    assertEquals(new LinkStatistics.Counters(103, 101, 105, 107), read.transmitted());
    Mutations.test(messages, LinkStatistics::read);
  }

  @Test
  void addressesAreReadOrMalformed() throws IOException {
    Mutations.test(
        Mutations.payloads(
            List.of(
                new InterfaceAddress(2, V4, 24).addRequest(),
                new InterfaceAddress(2, V6, 64, 0x82).addRequest())),
        InterfaceAddress::read);
  }

  @Test
  void routesAreReadOrMalformed() throws IOException {
    var hop = new Route.Hop(3, Optional.of(V4));
    Mutations.test(
        Mutations.payloads(
            List.of(
                Route.unicast(V4, 32, hop).withAttributes(5, 1000, 0, 1400, 1300).addRequest(),
                Route.unicast(V6, 128, new Route.Hop(3, Optional.of(V6))).addRequest(),
                Route.unicast(V4, 32, hop).addRequest().bytes(9, multipath()))), // RTA_MULTIPATH
        Route::read);
  }

  /** Two of struct rtnexthop: length u16, flags u8, hops u8, interface s32; then a gateway. */
  private static byte[] multipath() {
    ByteBuffer hops = ByteBuffer.allocate(32).order(ByteOrder.nativeOrder());
    for (int i = 0; i < 2; i++) {
      hops.putShort((short) 16).putShort((short) 0).putInt(3 + i);
      hops.putShort((short) 8).putShort((short) 5).put(V4.getAddress());
    }
    return hops.array();
  }

  @Test
  void rulesAndNeighboursAreReadOrMalformed() throws IOException {
    Mutations.test(
        Mutations.payloads(
            List.of(
                PolicyRule.fromSource(V4, 100).addRequest(),
                PolicyRule.fromSource(V6, 1000).addRequest(),
                PolicyRule.lookup(
                        IpFamily.IPV4,
                        RuleSelector.ANY
                            .from(V4)
                            .to(V4, 8)
                            .withMark(1, 0xff)
                            .arrivingOn("eth0")
                            .boundTo("eth1")
                            .withProtocol(6)
                            .fromPorts(1, 2)
                            .toPorts(3, 4),
                        5)
                    .withPriority(6)
                    .addRequest())),
        PolicyRule::read);
    Mutations.test(
        Mutations.payloads(
            List.of(
                new Neighbour(2, V4, "02:00:00:00:00:01", 2).replaceRequest(),
                new Neighbour(2, V6, "02:00:00:00:00:01", 2).replaceRequest())),
        Neighbour::read);
  }

  @Test
  void bridgeVlansAndNsidsAreReadOrMalformed() throws IOException {
    Mutations.test(
        Mutations.payloads(
            List.of(
                LinkRequests.addVlan(4, new BridgeVlan(7, true, true)),
                new LinkUpdate(4)
                    .request()
                    .nest(
                        LinkConstants.IFLA_AF_SPEC,
                        spec ->
                            spec.bytes(LinkConstants.IFLA_BRIDGE_VLAN_INFO, vlan(8, 2))
                                .bytes(LinkConstants.IFLA_BRIDGE_VLAN_INFO, vlan(16, 40))))),
        message -> {
          List<BridgeVlan> vlans = new ArrayList<>();
          RouteSocket.readVlans(message, vlans);
        });
    Mutations.test(
        Mutations.payloads(
            List.of(new NetlinkRequest("nsid", 0, 0).u32(0).u32(LinkConstants.NETNSA_NSID, 5))),
        NsidView::readNsid);
  }

  /** struct bridge_vlan_info: flags u16, vid u16. */
  private static byte[] vlan(int flags, int id) {
    ByteBuffer info = ByteBuffer.allocate(4).order(ByteOrder.nativeOrder());
    return info.putShort((short) flags).putShort((short) id).array();
  }
}
