// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkClient;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.NetlinkResponse;
import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * A rtnetlink(7) socket: lists and changes the links, addresses, routes, policy rules and
 * neighbours of one network namespace. It belongs to the namespace that it was opened in, whatever
 * thread uses it. Safe for use by several threads.
 *
 * <p>Every method throws {@link NetlinkException} if the kernel refuses a request, and another
 * {@link IOException} if the socket fails or the response is malformed or does not come within 10
 * seconds.
 */
public final class RouteSocket extends NetlinkClient {
  /** sizeof(struct netconfmsg), padded. */
  private static final int NETCONFMSG = 4;

  private static final int MAX_VLAN_ID = 4095;

  private RouteSocket() throws KernelException {
    super(NetlinkConstants.NETLINK_ROUTE);
  }

  /**
   * Opens a socket in the namespace of the calling thread.
   *
   * @throws KernelException if the socket cannot be opened
   */
  public static RouteSocket open() throws KernelException {
    return new RouteSocket();
  }

  /**
   * Opens a socket in another namespace.
   *
   * @throws KernelException if the namespace cannot be entered or the socket cannot be opened
   */
  public static RouteSocket open(NetNs namespace) throws KernelException {
    return namespace.call(RouteSocket::open);
  }

  /**
   * Opens a socket in the namespace at a path, or in that of the calling thread, which needs no
   * privileges.
   *
   * @param namespace the path, such as /run/netns/blue; empty for the namespace of the calling
   *     thread
   * @throws KernelException if the namespace cannot be opened or entered, or the socket cannot be
   *     opened
   */
  public static RouteSocket open(Optional<Path> namespace) throws KernelException {
    if (namespace.isEmpty()) {
      return open();
    }
    try (NetNs opened = NetNs.open(namespace.get())) {
      return open(opened);
    }
  }

  /**
   * Executes a request.
   *
   * @throws NetlinkException if the kernel refuses it
   * @throws IOException if the socket fails
   */
  public void execute(NetlinkRequest request) throws IOException {
    socket.execute(request);
  }

  /**
   * Executes a request, ignoring errors that mean that there is nothing to do.
   *
   * @param errnos the errors to ignore, such as {@link Errno#ENODEV} when a link is deleted
   * @return whether the kernel executed the request
   * @throws NetlinkException if the kernel refuses it with another error
   * @throws IOException if the socket fails
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
   * Sends several requests in one batch. The kernel executes all of them, even after one has
   * failed.
   *
   * @throws NetlinkException the first error, if there are any
   * @throws IOException if the socket fails
   */
  public void execute(List<NetlinkRequest> requests) throws IOException {
    if (!requests.isEmpty()) {
      for (NetlinkResponse response : socket.exchange(requests)) {
        response.orThrow();
      }
    }
  }

  /**
   * Executes a request for one object or a dump. A dump that was inconsistent, because the listed
   * objects changed meanwhile (NLM_F_DUMP_INTR), is repeated.
   *
   * @return the messages of the response, without their headers
   * @throws NetlinkException if the kernel refuses the request
   * @throws IOException if the socket fails
   */
  public List<ByteBuffer> query(NetlinkRequest request) throws IOException {
    return socket.execute(request);
  }

  /**
   * Executes a request for one object.
   *
   * @return the message, without its header
   * @throws NetlinkException if the kernel refuses the request
   * @throws IOException if the socket fails
   */
  ByteBuffer get(NetlinkRequest request) throws IOException {
    return socket.exchange(List.of(request)).getFirst().single();
  }

  /**
   * Sends several requests in one batch and returns the response to each, errors included.
   *
   * @throws IOException if the socket fails
   */
  public List<NetlinkResponse> exchange(List<NetlinkRequest> requests) throws IOException {
    return socket.exchange(requests);
  }

  /**
   * Returns the link with a name or alternative name; empty if there is none.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public Optional<Link> link(String name) throws IOException {
    return link(LinkRequests.get(name));
  }

  /**
   * Returns the link with an index; empty if there is none.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public Optional<Link> link(int index) throws IOException {
    return link(LinkRequests.get(index));
  }

  /**
   * Returns the settings of the link with an index.
   *
   * @throws NetlinkException ENODEV if there is none
   * @throws IOException if the socket fails
   */
  public LinkSettings linkSettings(int index) throws IOException {
    return LinkSettings.read(get(LinkRequests.get(index)));
  }

  private Optional<Link> link(NetlinkRequest request) throws IOException {
    try {
      return Optional.of(Link.read(get(request)));
    } catch (NetlinkException e) {
      if (e.is(Errno.ENODEV)) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /**
   * Returns several links by name, requested in one batch.
   *
   * @return the links in the order of the names
   * @throws NetlinkException ENODEV if one of them does not exist
   * @throws IOException if the socket fails
   */
  public List<Link> links(String... names) throws IOException {
    return links(List.of(), names);
  }

  /**
   * Executes a request and returns several links as they are afterwards, in one batch.
   *
   * @return the links in the order of the names
   * @throws NetlinkException if the kernel refuses the request; ENODEV if a link does not exist
   * @throws IOException if the socket fails
   */
  public List<Link> linksAfter(NetlinkRequest change, String... names) throws IOException {
    return links(List.of(change), names);
  }

  private List<Link> links(List<NetlinkRequest> changes, String... names) throws IOException {
    List<NetlinkRequest> requests = new ArrayList<>(changes);
    for (String name : names) {
      requests.add(LinkRequests.get(name));
    }
    List<NetlinkResponse> responses = socket.exchange(requests);
    List<Link> links = new ArrayList<>(names.length);
    for (int i = 0; i < responses.size(); i++) {
      if (i < changes.size()) {
        responses.get(i).orThrow();
      } else {
        links.add(Link.read(responses.get(i).single()));
      }
    }
    return links;
  }

  /**
   * The end of a veth pair in another namespace.
   *
   * @param namespace the other namespace, which has to be open
   * @param link the link as listed in that namespace
   */
  public record VethPeer(NetNs namespace, Link link) {}

  /**
   * Returns the ends in this namespace of veth pairs whose other ends are known.
   *
   * @param peers the ends in other namespaces
   * @return the links in the order of the peers; empty for a peer whose other end is elsewhere
   * @throws IOException if the socket fails
   */
  public List<Optional<Link>> hostPeers(List<VethPeer> peers) throws IOException {
    List<NetlinkRequest> requests = new ArrayList<>(2 * peers.size());
    for (VethPeer peer : peers) {
      requests.add(LinkRequests.get(peer.link().linkedIndex()));
      requests.add(LinkRequests.getNsid(peer.namespace()));
    }
    List<NetlinkResponse> responses = socket.exchange(requests);
    List<Optional<Link>> hostPeers = new ArrayList<>(peers.size());
    for (int i = 0; i < peers.size(); i++) {
      hostPeers.add(hostPeer(peers.get(i).link(), responses.get(2 * i), responses.get(2 * i + 1)));
    }
    return hostPeers;
  }

  /** Interface indexes are unique per namespace only: each end has to refer to the other. */
  private static Optional<Link> hostPeer(Link peer, NetlinkResponse link, NetlinkResponse nsid)
      throws IOException {
    if (link.error().isPresent() || nsid.error().isPresent()) {
      return Optional.empty();
    }
    Link candidate = Link.read(link.single());
    int peerNsid = NsidView.readNsid(nsid.single());
    boolean isPair =
        candidate.isKind("veth")
            && peer.isKind("veth")
            && candidate.linkedIndex() == peer.index()
            && candidate.linkedNsid() == peerNsid
            && peerNsid != Link.NSID_NOT_ASSIGNED;
    return isPair ? Optional.of(candidate) : Optional.empty();
  }

  /**
   * Returns all links.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<Link> links() throws IOException {
    return RouteMessages.readAll(socket.execute(LinkRequests.list()), Link::read);
  }

  /**
   * Returns the IPv4 and IPv6 addresses of a link; empty if there is no such link.
   *
   * @param link the link's index
   * @throws IOException if the kernel refuses, or the socket fails
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
    // Kernels before 4.20 do not filter by link.
    return addresses.stream().filter(address -> address.link() == link).toList();
  }

  /**
   * Returns the IPv4 and IPv6 addresses of all links.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<InterfaceAddress> addresses() throws IOException {
    return RouteMessages.readAll(
        socket.execute(InterfaceAddress.listRequest(0)), InterfaceAddress::read);
  }

  /**
   * Returns the routes of a family in all tables, without those that the kernel caches.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<Route> routes(IpFamily family) throws IOException {
    List<Route> routes =
        RouteMessages.readAll(socket.execute(Route.listRequest(family)), Route::read);
    return routes.stream().filter(route -> !route.isCached()).toList();
  }

  /**
   * Returns the route that a packet to an address would take now.
   *
   * @throws NetlinkException ENETUNREACH if there is none
   * @throws IOException if the socket fails
   */
  public Route routeTo(InetAddress destination) throws IOException {
    return Route.read(get(Route.getRequest(destination)));
  }

  /**
   * Returns the route that a packet would take now.
   *
   * @throws NetlinkException if there is none, see {@link RouteLookup}
   * @throws IOException if the socket fails
   */
  public Route route(RouteLookup lookup) throws IOException {
    return Route.read(get(lookup.request()));
  }

  /**
   * Returns whether the namespace forwards packets between its links: the kernel parameters {@code
   * net.ipv4.ip_forward} and {@code net.ipv6.conf.all.forwarding}.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public boolean isForwarding(IpFamily family) throws IOException {
    ByteBuffer parameters = get(LinkRequests.getNetconf(family));
    return RouteMessages.attributes(parameters, NETCONFMSG)
            .u32(LinkConstants.NETCONFA_FORWARDING)
            .orElse(0)
        != 0;
  }

  /**
   * Returns the policy rules of a family.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<PolicyRule> policyRules(IpFamily family) throws IOException {
    return RouteMessages.readAll(socket.execute(PolicyRule.listRequest(family)), PolicyRule::read);
  }

  /**
   * Returns the neighbours of a family on all links.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<Neighbour> neighbours(IpFamily family) throws IOException {
    return RouteMessages.readAll(socket.execute(Neighbour.listRequest(family)), Neighbour::read);
  }

  /**
   * Returns the VLANs of a bridge port, in ascending order.
   *
   * @param port the index of the port
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public List<BridgeVlan> bridgeVlans(int port) throws IOException {
    List<BridgeVlan> vlans = new ArrayList<>();
    for (ByteBuffer message : socket.execute(LinkRequests.listBridgeVlans())) {
      if (message.limit() >= Link.IFINFOMSG && message.getInt(4) == port) {
        readVlans(message, vlans);
      }
    }
    return vlans;
  }

  /** Reads the VLANs of the bridge port that a message is about. */
  static void readVlans(ByteBuffer message, List<BridgeVlan> vlans)
      throws MalformedMessageException {
    Attributes attributes = RouteMessages.attributes(message, Link.IFINFOMSG);
    Optional<Attributes> spec = attributes.nested(LinkConstants.IFLA_AF_SPEC);
    if (spec.isPresent()) {
      readVlans(spec.get().all(LinkConstants.IFLA_BRIDGE_VLAN_INFO), vlans);
    }
  }

  /** Reads struct bridge_vlan_info: flags u16, vid u16; a range consists of two, its ends. */
  private static void readVlans(List<ByteBuffer> infos, List<BridgeVlan> vlans)
      throws MalformedMessageException {
    int begin = 0;
    for (ByteBuffer info : infos) {
      if (info.remaining() < 4) {
        continue;
      }
      int flags = Short.toUnsignedInt(info.getShort(0));
      int vlan = Short.toUnsignedInt(info.getShort(2));
      if (vlan > MAX_VLAN_ID) {
        throw new MalformedMessageException("VLAN id " + vlan);
      }
      if ((flags & LinkConstants.BRIDGE_VLAN_INFO_RANGE_BEGIN) != 0) {
        begin = vlan;
        continue;
      }
      boolean rangeEnd = (flags & LinkConstants.BRIDGE_VLAN_INFO_RANGE_END) != 0;
      for (int id = rangeEnd ? begin : vlan; id <= vlan; id++) {
        vlans.add(BridgeVlan.of(id, flags));
      }
    }
  }
}
