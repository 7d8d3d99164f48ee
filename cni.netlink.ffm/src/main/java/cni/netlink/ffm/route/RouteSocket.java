package cni.netlink.ffm.route;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NetlinkClient;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.NetlinkResponse;
import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The links, addresses, routes and neighbours of one network namespace, rtnetlink(7). Any thread
 * may use it.
 */
public final class RouteSocket extends NetlinkClient {
  /** sizeof(struct netconfmsg), padded. */
  private static final int NETCONFMSG = 4;

  /** sizeof(struct rtgenmsg), padded. */
  private static final int RTGENMSG = 4;

  private RouteSocket() throws KernelException {
    super(NetlinkConstants.NETLINK_ROUTE);
  }

  /**
   * Opens the namespace of the calling thread.
   *
   * @throws KernelException if the socket cannot be opened
   */
  public static RouteSocket open() throws KernelException {
    return new RouteSocket();
  }

  /**
   * Opens another namespace.
   *
   * @throws KernelException if it cannot be entered or the socket not be opened
   */
  public static RouteSocket open(NetNs namespace) throws KernelException {
    return namespace.call(RouteSocket::open);
  }

  /**
   * Has the kernel do one thing.
   *
   * @throws NetlinkException if it refuses
   * @throws IOException if it cannot be asked
   */
  public void execute(NetlinkRequest request) throws IOException {
    socket.execute(request);
  }

  /**
   * Has the kernel do one thing, if there is anything to do.
   *
   * @param errnos what it answers if there is not: {@link Errno#ENODEV} where a link has to be
   *     there
   * @return whether it did it
   * @throws NetlinkException if it refuses for another reason
   * @throws IOException if it cannot be asked
   */
  public boolean executeIgnoring(NetlinkRequest request, int... errnos) throws IOException {
    try {
      socket.execute(request);
      return true;
    } catch (NetlinkException e) {
      if (IntStream.of(errnos).noneMatch(e::is)) {
        throw e;
      }
      return false;
    }
  }

  /**
   * Has the kernel do several things in one go. It does each of them, whatever became of those
   * before.
   *
   * @throws NetlinkException the first refusal
   * @throws IOException if it cannot be asked
   */
  public void execute(List<NetlinkRequest> requests) throws IOException {
    if (!requests.isEmpty()) {
      for (NetlinkResponse answer : socket.exchange(requests)) {
        answer.orThrow();
      }
    }
  }

  /**
   * Has the kernel list something; a list that changed meanwhile is asked for again.
   *
   * @param request a dump
   * @return the messages, without their headers
   * @throws NetlinkException if it refuses
   * @throws IOException if it cannot be asked
   */
  public List<ByteBuffer> query(NetlinkRequest request) throws IOException {
    return socket.execute(request);
  }

  /** As {@link #execute(List)}, with the answer to each request for the caller to judge. */
  public List<NetlinkResponse> exchange(List<NetlinkRequest> requests) throws IOException {
    return socket.exchange(requests);
  }

  /**
   * The link with that name, if there is one.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public Optional<Link> link(String name) throws IOException {
    return link(LinkRequests.get(name));
  }

  /**
   * The link with that index, if there is one.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public Optional<Link> link(int index) throws IOException {
    return link(LinkRequests.get(index));
  }

  private Optional<Link> link(NetlinkRequest request) throws IOException {
    try {
      return Optional.of(Link.read(socket.execute(request).getFirst()));
    } catch (NetlinkException e) {
      if (e.is(Errno.ENODEV)) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /**
   * Several links by name, asked for in one go.
   *
   * @return in the order of the names
   * @throws NetlinkException ENODEV if one of them does not exist
   * @throws IOException if the kernel cannot be asked
   */
  public List<Link> links(String... names) throws IOException {
    List<NetlinkRequest> requests = new ArrayList<>(names.length);
    for (String name : names) {
      requests.add(LinkRequests.get(name));
    }
    List<Link> links = new ArrayList<>(names.length);
    for (NetlinkResponse answer : socket.exchange(requests)) {
      links.add(Link.read(answer.orThrow().getFirst()));
    }
    return links;
  }

  /**
   * An end of a veth in another namespace.
   *
   * @param namespace which is open
   * @param link as that namespace tells it
   */
  public record VethPeer(NetNs namespace, Link link) {}

  /**
   * The ends here of veths whose other ends are known.
   *
   * @return in the order of the other ends; absent where it is not here
   * @throws IOException if the kernel cannot be asked
   */
  public List<Optional<Link>> hostPeers(List<VethPeer> farEnds) throws IOException {
    List<NetlinkRequest> requests = new ArrayList<>(2 * farEnds.size());
    for (VethPeer end : farEnds) {
      requests.add(LinkRequests.get(end.link().linkedIndex()));
      requests.add(LinkRequests.getNsid(end.namespace()));
    }
    List<NetlinkResponse> answers = socket.exchange(requests);
    List<Optional<Link>> nearEnds = new ArrayList<>(farEnds.size());
    for (int i = 0; i < farEnds.size(); i++) {
      nearEnds.add(hostPeer(farEnds.get(i).link(), answers.get(2 * i), answers.get(2 * i + 1)));
    }
    return nearEnds;
  }

  /** The numbers of links are those of a namespace: each end has to name the other. */
  private static Optional<Link> hostPeer(Link far, NetlinkResponse link, NetlinkResponse namespace)
      throws IOException {
    if (link.error().isPresent() || namespace.error().isPresent()) {
      return Optional.empty();
    }
    Link near = Link.read(link.payloads().getFirst());
    int farNamespace =
        RouteMessages.attributes(namespace.payloads().getFirst(), RTGENMSG)
            .u32(LinkConstants.NETNSA_NSID)
            .orElse(Link.NSID_NOT_ASSIGNED);
    boolean tied =
        near.isKind("veth")
            && far.isKind("veth")
            && near.linkedIndex() == far.index()
            && near.linkedNsid() == farNamespace
            && farNamespace != Link.NSID_NOT_ASSIGNED;
    return tied ? Optional.of(near) : Optional.empty();
  }

  /**
   * Every link.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public List<Link> links() throws IOException {
    return RouteMessages.readAll(socket.execute(LinkRequests.list()), Link::read);
  }

  /**
   * The addresses of a link, both families; empty if there is no such link.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public List<InterfaceAddress> addresses(int link) throws IOException {
    List<ByteBuffer> messages;
    try {
      messages = socket.execute(InterfaceAddress.listRequest(link));
    } catch (NetlinkException e) {
      if (e.is(Errno.ENODEV)) {
        return List.of();
      }
      throw e;
    }
    List<InterfaceAddress> addresses = RouteMessages.readAll(messages, InterfaceAddress::read);
    // A kernel before 4.20 does not filter and tells those of every link.
    return addresses.stream().filter(address -> address.link() == link).toList();
  }

  /**
   * The routes of a family, those of every table, without what the kernel caches.
   *
   * @param family AF_INET or AF_INET6
   * @throws IOException if the kernel cannot be asked
   */
  public List<Route> routes(int family) throws IOException {
    List<Route> routes =
        RouteMessages.readAll(socket.execute(Route.listRequest(family)), Route::read);
    return routes.stream().filter(route -> !route.isCached()).toList();
  }

  /**
   * The route that a packet to an address would take now.
   *
   * @throws NetlinkException ENETUNREACH if there is none
   * @throws IOException if the kernel cannot be asked
   */
  public Route routeTo(InetAddress destination) throws IOException {
    return Route.read(socket.execute(Route.getRequest(destination)).getFirst());
  }

  /**
   * Whether packets are passed on between links: the parameter {@code ip_forward}, or {@code
   * forwarding} of all.
   *
   * @param family AF_INET or AF_INET6
   * @throws IOException if the kernel cannot be asked
   */
  public boolean isForwarding(int family) throws IOException {
    ByteBuffer parameters = socket.execute(LinkRequests.getNetconf(family)).getFirst();
    return RouteMessages.attributes(parameters, NETCONFMSG)
            .u32(LinkConstants.NETCONFA_FORWARDING)
            .orElse(0)
        != 0;
  }

  /**
   * The policy rules of a family.
   *
   * @param family AF_INET or AF_INET6
   * @throws IOException if the kernel cannot be asked
   */
  public List<PolicyRule> policyRules(int family) throws IOException {
    return RouteMessages.readAll(socket.execute(PolicyRule.listRequest(family)), PolicyRule::read);
  }

  /**
   * The neighbours of a family that all links know.
   *
   * @param family AF_INET or AF_INET6
   * @throws IOException if the kernel cannot be asked
   */
  public List<Neighbour> neighbours(int family) throws IOException {
    return RouteMessages.readAll(socket.execute(Neighbour.listRequest(family)), Neighbour::read);
  }

  /**
   * The VLANs that a bridge lets through one of its ports.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public List<Integer> bridgeVlans(int port) throws IOException {
    List<Integer> vlans = new ArrayList<>();
    for (ByteBuffer message : socket.execute(LinkRequests.listBridgeVlans())) {
      if (message.limit() >= Link.IFINFOMSG && message.getInt(4) == port) {
        Attributes attributes = RouteMessages.attributes(message, Link.IFINFOMSG);
        Optional<Attributes> spec = attributes.nested(LinkConstants.IFLA_AF_SPEC);
        if (spec.isPresent()) {
          readVlans(spec.get().all(LinkConstants.IFLA_BRIDGE_VLAN_INFO), vlans);
        }
      }
    }
    return vlans;
  }

  /** struct bridge_vlan_info: flags u16, vid u16; a range is told by its two ends. */
  private static void readVlans(List<ByteBuffer> infos, List<Integer> vlans) {
    int begin = 0;
    for (ByteBuffer info : infos) {
      if (info.remaining() < 4) {
        continue;
      }
      int flags = Short.toUnsignedInt(info.getShort(0));
      int vlan = Short.toUnsignedInt(info.getShort(2));
      if ((flags & LinkConstants.BRIDGE_VLAN_INFO_RANGE_BEGIN) != 0) {
        begin = vlan;
        continue;
      }
      boolean rangeEnd = (flags & LinkConstants.BRIDGE_VLAN_INFO_RANGE_END) != 0;
      for (int id = rangeEnd ? begin : vlan; id <= vlan; id++) {
        vlans.add(id);
      }
    }
  }
}
