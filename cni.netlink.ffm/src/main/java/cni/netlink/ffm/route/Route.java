// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static cni.netlink.ffm.NetlinkConstants.NLM_F_CREATE;
import static cni.netlink.ffm.NetlinkConstants.NLM_F_DUMP;
import static cni.netlink.ffm.NetlinkConstants.NLM_F_REPLACE;
import static cni.netlink.ffm.route.RtnetlinkConstants.*;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkRequest;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A route (struct rtmsg of linux/rtnetlink.h).
 *
 * @param destination the address of the destination network
 * @param prefix the length of its prefix, in bits; 0 for the default route
 * @param hops the next hops: one, or several for a multipath route
 * @param priority the metric, 0 for the kernel's default
 * @param table the routing table
 * @param scope RT_SCOPE_*
 * @param type RTN_*
 * @param flags RTM_F_*
 * @param mtu the path MTU in bytes, 0 for none
 * @param advertisedMss the MSS to advertise in bytes, 0 for none
 * @param protocol the origin of the route, RTPROT_*
 * @param source the preferred source address of packets that have none yet
 */
public record Route(
    InetAddress destination,
    int prefix,
    List<Hop> hops,
    int priority,
    int table,
    int scope,
    int type,
    int flags,
    int mtu,
    int advertisedMss,
    int protocol,
    Optional<InetAddress> source) {
  /** sizeof(struct rtmsg): eight fields of u8, flags u32. */
  private static final int RTMSG = 12;

  /** sizeof(struct rtnexthop): length u16, flags u8, weight u8, link s32. */
  private static final int RTNEXTHOP = 8;

  /** Copies the list. */
  public Route {
    hops = List.copyOf(hops);
  }

  /**
   * A next hop.
   *
   * @param link the index of the outgoing link, 0 for none
   * @param gateway the address of the next router, empty if the destination is on the link
   */
  public record Hop(int link, Optional<InetAddress> gateway) {}

  /** Returns a unicast route of the main table. */
  public static Route unicast(InetAddress destination, int prefix, Hop hop) {
    int scope = hop.gateway().isPresent() ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    return new Route(
        destination,
        prefix,
        List.of(hop),
        0,
        RT_TABLE_MAIN,
        scope,
        RTN_UNICAST,
        0,
        0,
        0,
        RTPROT_BOOT,
        Optional.empty());
  }

  /** Returns this route with other attributes, see the components of the record. */
  public Route withAttributes(int newPriority, int newTable, int newScope, int newMtu, int newMss) {
    return new Route(
        destination,
        prefix,
        hops,
        newPriority,
        newTable,
        newScope,
        type,
        flags,
        newMtu,
        newMss,
        protocol,
        source);
  }

  /**
   * Returns this route in another table, with flags 0, since some flags of a listed route are set
   * by the kernel alone.
   */
  public Route inTable(int newTable) {
    return copy(hops, newTable, 0, source);
  }

  /**
   * Returns the parts of this route that lead through a link, a route for each hop.
   *
   * <p>The kernel lists IPv6 routes that differ in nothing but the hop as one multipath route, and
   * deletes them hop by hop. An IPv4 multipath route is a single object that belongs to none of its
   * links: it has no parts.
   *
   * @param link the index of the link
   */
  public List<Route> partsThrough(int link) {
    if (hops.size() > 1 && IpFamily.of(destination) == IpFamily.IPV4) {
      return List.of();
    }
    return hops.stream()
        .filter(hop -> hop.link() == link)
        .map(hop -> copy(List.of(hop), table, flags, source))
        .toList();
  }

  /** Returns this route with a preferred source address. */
  public Route withSource(InetAddress newSource) {
    return copy(hops, table, flags, Optional.of(newSource));
  }

  /** Returns this route with the protocol of routes that the kernel adds (RTPROT_KERNEL). */
  public Route ofKernel() {
    return new Route(
        destination,
        prefix,
        hops,
        priority,
        table,
        scope,
        type,
        flags,
        mtu,
        advertisedMss,
        RTPROT_KERNEL,
        source);
  }

  private Route copy(
      List<Hop> newHops, int newTable, int newFlags, Optional<InetAddress> newSource) {
    return new Route(
        destination,
        prefix,
        newHops,
        priority,
        newTable,
        scope,
        type,
        newFlags,
        mtu,
        advertisedMss,
        protocol,
        newSource);
  }

  /** Returns whether the kernel cloned the route from another for a single destination. */
  public boolean isCached() {
    return (flags & RTM_F_CLONED) != 0;
  }

  /**
   * Returns a request that adds the route, even if there is one to the same destination through
   * another hop. It fails with EEXIST if there is an identical one.
   */
  public NetlinkRequest addRequest() {
    return request("add", RTM_NEWROUTE, NLM_F_CREATE);
  }

  /**
   * Returns a request that adds the route or replaces the one with the same destination and metric.
   */
  public NetlinkRequest replaceRequest() {
    return request("set", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
  }

  /** Returns a request that deletes the route. It fails with ESRCH if there is none. */
  public NetlinkRequest deleteRequest() {
    return request("delete", RTM_DELROUTE, 0);
  }

  /**
   * Returns a request that deletes the route to the same destination that the kernel added for an
   * address of the link (RTPROT_KERNEL). It fails with ESRCH if there is none.
   */
  public NetlinkRequest deleteKernelRouteRequest() {
    return new Route(
            destination,
            prefix,
            hops,
            0,
            table,
            scope,
            type,
            0,
            0,
            0,
            RTPROT_KERNEL,
            Optional.empty())
        .deleteRequest();
  }

  /** Returns a request for the route that a packet to an address would take. */
  static NetlinkRequest getRequest(InetAddress destination) {
    byte[] address = destination.getAddress();
    var message =
        new NetlinkRequest("get the route to " + destination.getHostAddress(), RTM_GETROUTE, 0);
    message.u8(IpFamily.of(destination).number()).u8(8 * address.length).u8(0).u8(0);
    message.u8(0).u8(0).u8(0).u8(0).u32(0);
    return message.bytes(RTA_DST, address);
  }

  /** Returns a request for the routes of a family in all tables. */
  public static NetlinkRequest listRequest(IpFamily family) {
    var message = new NetlinkRequest("list routes", RTM_GETROUTE, NLM_F_DUMP);
    return message.u8(family.number()).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u32(0);
  }

  private NetlinkRequest request(String verb, int messageType, int requestFlags) {
    Hop hop = hops.getFirst();
    String via = hop.gateway().map(gateway -> " via " + gateway.getHostAddress()).orElse("");
    var message =
        new NetlinkRequest(
            verb + " route " + destination.getHostAddress() + "/" + prefix + via,
            messageType,
            requestFlags);
    int shortTable = table >= 0 && table < 256 ? table : 0; // a longer number needs RTA_TABLE
    message.u8(IpFamily.of(destination).number()).u8(prefix).u8(0).u8(0);
    message.u8(shortTable).u8(protocol).u8(scope).u8(type);
    message.u32(flags & RTNH_F_ONLINK); // only the kernel may set the others
    if (prefix > 0) {
      message.bytes(RTA_DST, destination.getAddress());
    }
    hop.gateway().ifPresent(gateway -> message.bytes(RTA_GATEWAY, gateway.getAddress()));
    source.ifPresent(address -> message.bytes(RTA_PREFSRC, address.getAddress()));
    message.u32(RTA_OIF, hop.link());
    if (priority != 0) {
      message.u32(RTA_PRIORITY, priority);
    }
    if (shortTable != table) {
      message.u32(RTA_TABLE, table);
    }
    if (mtu != 0 || advertisedMss != 0) {
      message.nest(RTA_METRICS, this::metrics);
    }
    return message;
  }

  private void metrics(NetlinkRequest message) {
    if (mtu != 0) {
      message.u32(RTAX_MTU, mtu);
    }
    if (advertisedMss != 0) {
      message.u32(RTAX_ADVMSS, advertisedMss);
    }
  }

  static Route read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = RouteMessages.attributes(message, RTMSG);
    IpFamily family = message.get(0) == AF_INET ? IpFamily.IPV4 : IpFamily.IPV6;
    Attributes metrics = attributes.nested(RTA_METRICS).orElse(Attributes.NONE);
    byte[] destination = attributes.bytes(RTA_DST).orElse(new byte[family.addressLength()]);
    return new Route(
        RouteMessages.address(destination),
        Byte.toUnsignedInt(message.get(1)),
        readHops(attributes),
        attributes.u32(RTA_PRIORITY).orElse(0),
        attributes.u32(RTA_TABLE).orElse(Byte.toUnsignedInt(message.get(4))),
        Byte.toUnsignedInt(message.get(6)),
        Byte.toUnsignedInt(message.get(7)),
        message.getInt(8),
        metrics.u32(RTAX_MTU).orElse(0),
        metrics.u32(RTAX_ADVMSS).orElse(0),
        Byte.toUnsignedInt(message.get(5)),
        RouteMessages.address(attributes, RTA_PREFSRC));
  }

  private static List<Hop> readHops(Attributes attributes) throws MalformedMessageException {
    List<Hop> hops = new ArrayList<>(1);
    for (ByteBuffer multipath : attributes.all(RTA_MULTIPATH)) {
      int offset = 0;
      while (multipath.limit() - offset >= RTNEXTHOP) {
        int length = Short.toUnsignedInt(multipath.getShort(offset));
        if (length < RTNEXTHOP || length > multipath.limit() - offset) {
          throw new MalformedMessageException("a next hop of length " + length);
        }
        ByteBuffer hop = multipath.slice(offset, length).order(multipath.order());
        hops.add(readHop(hop.getInt(4), RouteMessages.attributes(hop, RTNEXTHOP)));
        offset += NetlinkConstants.align(length);
      }
    }
    if (hops.isEmpty()) {
      hops.add(readHop(attributes.u32(RTA_OIF).orElse(0), attributes));
    }
    return hops;
  }

  private static Hop readHop(int link, Attributes attributes) throws MalformedMessageException {
    return new Hop(link, RouteMessages.address(attributes, RTA_GATEWAY));
  }

  /** Returns whether a network is the route's destination. */
  public boolean hasDestination(InetAddress network, int networkPrefix) {
    return prefix == networkPrefix
        && IpFamily.of(destination) == IpFamily.of(network)
        && destination.equals(network);
  }
}
