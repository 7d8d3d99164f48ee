package cni.netlink.ffm.route;

import static cni.netlink.ffm.NetlinkConstants.NLM_F_CREATE;
import static cni.netlink.ffm.NetlinkConstants.NLM_F_DUMP;
import static cni.netlink.ffm.NetlinkConstants.NLM_F_REPLACE;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkRequest;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A route (struct rtmsg of linux/rtnetlink.h).
 *
 * @param destination the network's address
 * @param prefix the length of the network's prefix, in bits
 * @param hops the ways out; usually one, several for a multipath route
 * @param priority the metric, 0 for the kernel's default
 * @param table the routing table
 * @param scope RT_SCOPE_*
 * @param type RTN_*
 * @param flags RTM_F_*
 * @param mtu of the path, 0 for none
 * @param advertisedMss 0 for none
 * @param protocol who made it, RTPROT_*
 * @param source the address that is taken for packets that have none yet
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

  /** Takes a copy of the list. */
  public Route {
    hops = List.copyOf(hops);
  }

  /**
   * A way out.
   *
   * @param link the index of the link, 0 for none
   * @param gateway the next hop, absent if the destination is on the link
   */
  public record Hop(int link, Optional<InetAddress> gateway) {}

  /** A unicast route of the main table. */
  public static Route unicast(InetAddress destination, int prefix, Hop hop) {
    int scope =
        hop.gateway().isPresent()
            ? RtnetlinkConstants.RT_SCOPE_UNIVERSE
            : RtnetlinkConstants.RT_SCOPE_LINK;
    return new Route(
        destination,
        prefix,
        List.of(hop),
        0,
        RtnetlinkConstants.RT_TABLE_MAIN,
        scope,
        RtnetlinkConstants.RTN_UNICAST,
        0,
        0,
        0,
        RtnetlinkConstants.RTPROT_BOOT,
        Optional.empty());
  }

  /** The same with these attributes; see the record's components. */
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
   * The same in another table, without flags: of those that are there some only the kernel sets.
   */
  public Route inTable(int newTable) {
    return withAttributes(hops, newTable, 0, source);
  }

  /**
   * The parts of it that lead through a link. For IPv6 the kernel makes one route with several ways
   * out of those that differ in nothing else, and takes apart again what is deleted. One for IPv4
   * is a whole, which none of its links owns.
   */
  public List<Route> partsThrough(int link) {
    if (hops.size() > 1 && destination instanceof Inet4Address) {
      return List.of();
    }
    return hops.stream()
        .filter(hop -> hop.link() == link)
        .map(hop -> withAttributes(List.of(hop), table, flags, source))
        .toList();
  }

  /** The same with the address that is taken for packets that have none yet. */
  public Route withSource(InetAddress newSource) {
    return withAttributes(hops, table, flags, Optional.of(newSource));
  }

  private Route withAttributes(
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

  /** Whether the kernel made it from another one for a single destination. */
  public boolean isCached() {
    return (flags & RtnetlinkConstants.RTM_F_CLONED) != 0;
  }

  /**
   * The request that adds it, beside routes to the same destination that differ in their way out.
   * EEXIST if there is the very same.
   */
  public NetlinkRequest addRequest() {
    return request("add", RtnetlinkConstants.RTM_NEWROUTE, NLM_F_CREATE);
  }

  /** The request that sets it in place of one to the same destination with the same metric. */
  public NetlinkRequest replaceRequest() {
    return request("set", RtnetlinkConstants.RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
  }

  /** The request that deletes it; ESRCH if there is none. */
  public NetlinkRequest deleteRequest() {
    return request("delete", RtnetlinkConstants.RTM_DELROUTE, 0);
  }

  /** The request that deletes the one that the kernel made for an address; ESRCH if it did not. */
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
            RtnetlinkConstants.RTPROT_KERNEL,
            Optional.empty())
        .deleteRequest();
  }

  /** Asks for the route that a packet to an address would take. */
  static NetlinkRequest getRequest(InetAddress destination) {
    byte[] address = destination.getAddress();
    var message =
        new NetlinkRequest(
            "get the route to " + destination.getHostAddress(), RtnetlinkConstants.RTM_GETROUTE, 0);
    message.u8(RouteMessages.family(destination)).u8(8 * address.length).u8(0).u8(0);
    message.u8(0).u8(0).u8(0).u8(0).u32(0);
    return message.bytes(RtnetlinkConstants.RTA_DST, address);
  }

  /**
   * Asks for the routes of a family, those of every table.
   *
   * @param family AF_INET or AF_INET6
   */
  public static NetlinkRequest listRequest(int family) {
    var message = new NetlinkRequest("list routes", RtnetlinkConstants.RTM_GETROUTE, NLM_F_DUMP);
    return message.u8(family).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u32(0);
  }

  private NetlinkRequest request(String verb, int messageType, int requestFlags) {
    Hop hop = hops.getFirst();
    String via = hop.gateway().map(gateway -> " via " + gateway.getHostAddress()).orElse("");
    var message =
        new NetlinkRequest(
            verb + " route " + destination.getHostAddress() + "/" + prefix + via,
            messageType,
            requestFlags);
    int shortTable =
        table >= 0 && table < 256 ? table : 0; // a longer number stands in RTA_TABLE alone
    message.u8(RouteMessages.family(destination)).u8(prefix).u8(0).u8(0);
    message.u8(shortTable).u8(protocol).u8(scope).u8(type);
    message.u32(flags & RtnetlinkConstants.RTNH_F_ONLINK); // the others only the kernel may say
    if (prefix > 0) {
      message.bytes(RtnetlinkConstants.RTA_DST, destination.getAddress());
    }
    hop.gateway()
        .ifPresent(gateway -> message.bytes(RtnetlinkConstants.RTA_GATEWAY, gateway.getAddress()));
    source.ifPresent(
        address -> message.bytes(RtnetlinkConstants.RTA_PREFSRC, address.getAddress()));
    message.u32(RtnetlinkConstants.RTA_OIF, hop.link());
    if (priority != 0) {
      message.u32(RtnetlinkConstants.RTA_PRIORITY, priority);
    }
    if (shortTable != table) {
      message.u32(RtnetlinkConstants.RTA_TABLE, table);
    }
    if (mtu != 0 || advertisedMss != 0) {
      message.nest(RtnetlinkConstants.RTA_METRICS, this::metrics);
    }
    return message;
  }

  private void metrics(NetlinkRequest message) {
    if (mtu != 0) {
      message.u32(RtnetlinkConstants.RTAX_MTU, mtu);
    }
    if (advertisedMss != 0) {
      message.u32(RtnetlinkConstants.RTAX_ADVMSS, advertisedMss);
    }
  }

  static Route read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = RouteMessages.attributes(message, RTMSG);
    boolean v4 = message.get(0) == RtnetlinkConstants.AF_INET;
    Attributes metrics =
        attributes
            .nested(RtnetlinkConstants.RTA_METRICS)
            .orElse(Attributes.read(ByteBuffer.allocate(0)));
    byte[] destination = attributes.bytes(RtnetlinkConstants.RTA_DST).orElse(new byte[v4 ? 4 : 16]);
    return new Route(
        RouteMessages.address(destination),
        Byte.toUnsignedInt(message.get(1)),
        readHops(attributes),
        attributes.u32(RtnetlinkConstants.RTA_PRIORITY).orElse(0),
        attributes.u32(RtnetlinkConstants.RTA_TABLE).orElse(Byte.toUnsignedInt(message.get(4))),
        Byte.toUnsignedInt(message.get(6)),
        Byte.toUnsignedInt(message.get(7)),
        message.getInt(8),
        metrics.u32(RtnetlinkConstants.RTAX_MTU).orElse(0),
        metrics.u32(RtnetlinkConstants.RTAX_ADVMSS).orElse(0),
        Byte.toUnsignedInt(message.get(5)),
        readSource(attributes));
  }

  private static Optional<InetAddress> readSource(Attributes attributes)
      throws MalformedMessageException {
    Optional<byte[]> source = attributes.bytes(RtnetlinkConstants.RTA_PREFSRC);
    return source.isEmpty() ? Optional.empty() : Optional.of(RouteMessages.address(source.get()));
  }

  private static List<Hop> readHops(Attributes attributes) throws MalformedMessageException {
    List<Hop> hops = new ArrayList<>(1);
    for (ByteBuffer multipath : attributes.all(RtnetlinkConstants.RTA_MULTIPATH)) {
      int at = 0;
      while (multipath.limit() - at >= RTNEXTHOP) {
        int length = Short.toUnsignedInt(multipath.getShort(at));
        if (length < RTNEXTHOP || length > multipath.limit() - at) {
          throw new MalformedMessageException("a next hop of length " + length);
        }
        ByteBuffer hop = multipath.slice(at, length).order(multipath.order());
        hops.add(readHop(hop.getInt(4), RouteMessages.attributes(hop, RTNEXTHOP)));
        at += NetlinkConstants.align(length);
      }
    }
    if (hops.isEmpty()) {
      hops.add(readHop(attributes.u32(RtnetlinkConstants.RTA_OIF).orElse(0), attributes));
    }
    return hops;
  }

  private static Hop readHop(int link, Attributes attributes) throws MalformedMessageException {
    Optional<byte[]> gateway = attributes.bytes(RtnetlinkConstants.RTA_GATEWAY);
    return gateway.isEmpty()
        ? new Hop(link, Optional.empty())
        : new Hop(link, Optional.of(RouteMessages.address(gateway.get())));
  }

  /** Whether it leads to that network. */
  public boolean hasDestination(InetAddress network, int networkPrefix) {
    return prefix == networkPrefix
        && (destination instanceof Inet4Address) == (network instanceof Inet4Address)
        && destination.equals(network);
  }
}
