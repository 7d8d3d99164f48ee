package cni.netlink.ffm.route;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NetNs;
import cni.netlink.ffm.Netlink;
import cni.netlink.ffm.NetlinkAnswer;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkMessage;
import cni.netlink.ffm.NetlinkSocket;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The links, addresses, routes and neighbours of one network namespace, rtnetlink(7). Any thread
 * may use it.
 */
public final class Rtnetlink implements AutoCloseable {
  private static final Duration PATIENCE = Duration.ofSeconds(10);

  /** sizeof(struct netconfmsg), padded. */
  private static final int NETCONFMSG = 4;

  /** sizeof(struct rtgenmsg), padded. */
  private static final int RTGENMSG = 4;

  private final NetlinkSocket socket;

  private Rtnetlink(NetlinkSocket socket) {
    this.socket = socket;
  }

  /**
   * Opens the namespace of the calling thread.
   *
   * @throws KernelException if the socket cannot be opened
   */
  public static Rtnetlink open() throws KernelException {
    return new Rtnetlink(NetlinkSocket.open(Netlink.NETLINK_ROUTE, PATIENCE));
  }

  /**
   * Opens another namespace.
   *
   * @throws KernelException if it cannot be entered or the socket not be opened
   */
  public static Rtnetlink open(NetNs namespace) throws KernelException {
    return namespace.call(Rtnetlink::open);
  }

  /**
   * Has the kernel do one thing.
   *
   * @throws NetlinkException if it refuses
   * @throws IOException if it cannot be asked
   */
  public void execute(NetlinkMessage request) throws IOException {
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
  public boolean executeUnless(NetlinkMessage request, int... errnos) throws IOException {
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
  public void execute(List<NetlinkMessage> requests) throws IOException {
    if (!requests.isEmpty()) {
      for (NetlinkAnswer answer : socket.exchange(requests)) {
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
  public List<ByteBuffer> list(NetlinkMessage request) throws IOException {
    return socket.execute(request);
  }

  /** As {@link #execute(List)}, with the answer to each request for the caller to judge. */
  public List<NetlinkAnswer> exchange(List<NetlinkMessage> requests) throws IOException {
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

  private Optional<Link> link(NetlinkMessage request) throws IOException {
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
    List<NetlinkMessage> requests = new ArrayList<>(names.length);
    for (String name : names) {
      requests.add(LinkRequests.get(name));
    }
    List<Link> links = new ArrayList<>(names.length);
    for (NetlinkAnswer answer : socket.exchange(requests)) {
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
  public record FarEnd(NetNs namespace, Link link) {}

  /**
   * The ends here of veths whose other ends are known.
   *
   * @return in the order of the other ends; absent where it is not here
   * @throws IOException if the kernel cannot be asked
   */
  public List<Optional<Link>> nearEnds(List<FarEnd> farEnds) throws IOException {
    List<NetlinkMessage> requests = new ArrayList<>(2 * farEnds.size());
    for (FarEnd end : farEnds) {
      requests.add(LinkRequests.get(end.link().peer()));
      requests.add(LinkRequests.getNamespace(end.namespace()));
    }
    List<NetlinkAnswer> answers = socket.exchange(requests);
    List<Optional<Link>> nearEnds = new ArrayList<>(farEnds.size());
    for (int i = 0; i < farEnds.size(); i++) {
      nearEnds.add(nearEnd(farEnds.get(i).link(), answers.get(2 * i), answers.get(2 * i + 1)));
    }
    return nearEnds;
  }

  /** The numbers of links are those of a namespace: each end has to name the other. */
  private static Optional<Link> nearEnd(Link far, NetlinkAnswer link, NetlinkAnswer namespace)
      throws IOException {
    if (link.error().isPresent() || namespace.error().isPresent()) {
      return Optional.empty();
    }
    Link near = Link.read(link.objects().getFirst());
    int farNamespace =
        Messages.attributes(namespace.objects().getFirst(), RTGENMSG)
            .u32(IfLink.NETNSA_NSID)
            .orElse(Link.NO_NAMESPACE);
    boolean tied =
        near.isKind("veth")
            && far.isKind("veth")
            && near.peer() == far.index()
            && near.peerNamespace() == farNamespace
            && farNamespace != Link.NO_NAMESPACE;
    return tied ? Optional.of(near) : Optional.empty();
  }

  /**
   * Every link.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public List<Link> links() throws IOException {
    return Messages.readAll(socket.execute(LinkRequests.list()), Link::read);
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
    List<InterfaceAddress> addresses = Messages.readAll(messages, InterfaceAddress::read);
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
    List<Route> routes = Messages.readAll(socket.execute(Route.listRequest(family)), Route::read);
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
    ByteBuffer parameters = socket.execute(LinkRequests.getParameters(family)).getFirst();
    return Messages.attributes(parameters, NETCONFMSG).u32(IfLink.NETCONFA_FORWARDING).orElse(0)
        != 0;
  }

  /**
   * The policy rules of a family.
   *
   * @param family AF_INET or AF_INET6
   * @throws IOException if the kernel cannot be asked
   */
  public List<PolicyRule> rules(int family) throws IOException {
    return Messages.readAll(socket.execute(PolicyRule.listRequest(family)), PolicyRule::read);
  }

  /**
   * The neighbours of a family that all links know.
   *
   * @param family AF_INET or AF_INET6
   * @throws IOException if the kernel cannot be asked
   */
  public List<Neighbour> neighbours(int family) throws IOException {
    return Messages.readAll(socket.execute(Neighbour.listRequest(family)), Neighbour::read);
  }

  /**
   * The VLANs that a bridge lets through one of its ports.
   *
   * @throws IOException if the kernel cannot be asked
   */
  public List<Integer> vlans(int port) throws IOException {
    List<Integer> vlans = new ArrayList<>();
    for (ByteBuffer message : socket.execute(LinkRequests.listVlans())) {
      if (message.limit() >= Link.IFINFOMSG && message.getInt(4) == port) {
        Attributes attributes = Messages.attributes(message, Link.IFINFOMSG);
        Optional<Attributes> spec = attributes.nested(IfLink.IFLA_AF_SPEC);
        if (spec.isPresent()) {
          readVlans(spec.get().all(IfLink.IFLA_BRIDGE_VLAN_INFO), vlans);
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
      if ((flags & IfLink.BRIDGE_VLAN_INFO_RANGE_BEGIN) != 0) {
        begin = vlan;
        continue;
      }
      boolean rangeEnd = (flags & IfLink.BRIDGE_VLAN_INFO_RANGE_END) != 0;
      for (int id = rangeEnd ? begin : vlan; id <= vlan; id++) {
        vlans.add(id);
      }
    }
  }

  /** As {@link NetlinkSocket#isWhole}. */
  public boolean isWhole() {
    return socket.isWhole();
  }

  @Override
  public void close() {
    socket.close();
  }
}
