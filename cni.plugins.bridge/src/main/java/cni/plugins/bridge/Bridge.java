package cni.plugins.bridge;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Names;
import cni.api.Result;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.NetlinkResponse;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkConstants;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkSpec;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.plugins.support.Forwarding;
import cni.plugins.support.InterfaceAddresses;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.VethPair;
import java.io.IOException;
import java.math.BigInteger;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;

/** The bridge on the host: made when first needed, shared by all attachments, never removed. */
final class Bridge {
  private final NetNsSession host;
  private final BridgeConfig config;

  Bridge(NetNsSession host, BridgeConfig config) {
    this.host = host;
    this.config = config;
  }

  /**
   * The bridge, made or adjusted if it has to be.
   *
   * @throws CniException code 7 if the name belongs to something else
   */
  Link ensure() throws CniException, IOException {
    try {
      return createOrAdjust();
    } catch (NetlinkException e) {
      if (e.is(Errno.EOPNOTSUPP) && config.vlans().isFiltering()) {
        throw new CniException(
            ErrorCode.INVALID_CONFIG,
            "vlan and vlanTrunk need a kernel whose bridges can tell VLANs apart"
                + " (CONFIG_BRIDGE_VLAN_FILTERING), which this one cannot",
            e);
      }
      throw e;
    }
  }

  private Link createOrAdjust() throws CniException, IOException {
    RouteSocket routing = host.rtnetlink();
    Optional<Link> found = routing.link(config.bridge());
    Link bridge = found.isPresent() ? found.get() : create(routing);
    if (!bridge.isKind("bridge")) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "bridge "
              + config.bridge()
              + " is the name of an interface of the host that is not a bridge; choose another");
    }
    adjust(routing, bridge);
    return bridge;
  }

  private Link create(RouteSocket routing) throws IOException {
    // An address of its own from the start. Otherwise the bridge takes the lowest one of its ports,
    // and that changes as they come and go.
    LinkSpec link = LinkSpec.bridge(config.bridge()).mtu(config.mtu()).mac(randomMac());
    if (config.vlans().isFiltering()) {
      link.vlanFiltering();
    }
    routing.executeIgnoring(link.request(), Errno.EEXIST); // another attachment made it just now
    return routing.links(config.bridge()).getFirst();
  }

  /** Locally administered, not a group's. */
  private static byte[] randomMac() {
    byte[] mac = new byte[6];
    ThreadLocalRandom.current().nextBytes(mac);
    mac[0] = (byte) ((mac[0] & 0xfc) | 0x02);
    return mac;
  }

  private void adjust(RouteSocket routing, Link bridge) throws IOException {
    Forwarding.disableAcceptRa(host, bridge);
    List<NetlinkRequest> requests = new ArrayList<>();
    if (!bridge.isUp()) {
      requests.add(LinkRequests.setUp(bridge.index()));
    }
    if (config.promiscMode() && (bridge.flags() & LinkConstants.IFF_PROMISC) == 0) {
      requests.add(LinkRequests.setPromiscuous(bridge.index()));
    }
    if (config.vlans().isFiltering()) {
      requests.add(LinkRequests.enableVlanFiltering(bridge.index()));
    }
    routing.execute(requests);
  }

  /**
   * Gives the gateways' addresses to the bridge, or to its interface in the VLAN.
   *
   * @return that interface, if there is a VLAN
   * @throws CniException code 7 if there is another address that may not give way
   */
  Optional<Link> ensureGateways(Link bridge, List<Cidr> gateways) throws CniException, IOException {
    if (config.vlans().pvid() == 0) {
      ensureAddresses(bridge, gateways);
      return Optional.empty();
    }
    Link vlan = ensureVlanInterface(bridge);
    ensureAddresses(vlan, gateways);
    return Optional.of(vlan);
  }

  private void ensureAddresses(Link link, List<Cidr> wanted) throws CniException, IOException {
    RouteSocket routing = host.rtnetlink();
    List<InterfaceAddress> there = routing.addresses(link.index());
    List<Cidr> present = InterfaceAddresses.cidrs(there);
    List<NetlinkRequest> deletions = new ArrayList<>();
    List<NetlinkRequest> requests = new ArrayList<>();
    for (Cidr gateway : wanted) {
      if (present.contains(gateway)) {
        continue;
      }
      for (InterfaceAddress address : there) {
        Cidr other = InterfaceAddresses.cidr(address);
        if (!wanted.contains(other) && conflicts(other, gateway)) {
          requireForce(link, other, gateway);
          deletions.add(address.deleteRequest());
        }
      }
      // Nobody else has the gateway's address, and the first container wants to use it at once.
      int flags = config.dad() || gateway.isV4() ? 0 : RtnetlinkConstants.IFA_F_NODAD;
      requests.add(
          new InterfaceAddress(link.index(), gateway.address(), gateway.prefix(), flags)
              .addRequest());
    }
    if (!requests.isEmpty()) {
      // Set to what it is now, the hardware address stays so, whatever ports come and go.
      String mac = routing.links(link.name()).getFirst().mac();
      requests.add(LinkRequests.setMac(link.index(), mac));
      executeUnless(routing, deletions, Errno.EADDRNOTAVAIL);
      executeUnless(routing, requests, Errno.EEXIST);
    }
  }

  /** A refusal with this number means that another attachment has done the same just now. */
  private static void executeUnless(RouteSocket routing, List<NetlinkRequest> requests, int done)
      throws IOException {
    if (requests.isEmpty()) {
      return;
    }
    for (NetlinkResponse answer : routing.exchange(requests)) {
      if (answer.error().isPresent() && !answer.error().get().is(done)) {
        throw answer.error().get();
      }
    }
  }

  /** A bridge has one IPv4 address; several of IPv6, if their networks do not overlap. */
  private static boolean conflicts(Cidr present, Cidr gateway) {
    return present.isV4() == gateway.isV4()
        && (gateway.isV4()
            || present.contains(gateway.address())
            || gateway.contains(present.address()));
  }

  private void requireForce(Link link, Cidr present, Cidr gateway) throws CniException {
    if (!config.forceAddress()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "%s already has address %s, different from the gateway %s; set forceAddress to replace it"
              .formatted(link.name(), present, gateway));
    }
  }

  /** The interface by which the host itself takes part in the VLAN: one end of a veth. */
  private Link ensureVlanInterface(Link bridge) throws CniException, IOException {
    RouteSocket routing = host.rtnetlink();
    String name = bridge.name() + "." + config.vlans().pvid();
    if (!Names.isInterfaceName(name)) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "bridge name " + bridge.name() + " is too long: with the VLAN it becomes " + name);
    }
    Optional<Link> found = routing.link(name);
    if (found.isEmpty()) {
      LinkSpec peer = LinkSpec.peer(name).mtu(bridge.mtu());
      LinkSpec veth = LinkSpec.veth(VethPair.randomName(), peer).mtu(bridge.mtu());
      NetlinkRequest request = veth.master(bridge.index()).up().request();
      executeUnless(routing, List.of(request), Errno.EEXIST);
      found = routing.link(name);
    }
    Link link = found.orElseThrow(() -> new IOException(name + " vanished from the host"));
    if (!link.isUp()) { // going up is the last thing: one that is down was not finished
      var ownOnly =
          new BridgeConfig.PortVlans(
              config.vlans().pvid(), List.of(), config.vlans().keepDefault());
      BridgePort.setVlans(routing, link.linkedIndex(), ownOnly);
      routing.execute(LinkRequests.setUp(link.index()));
    }
    return link;
  }

  /** The gateway's address with its network's prefix, for each address that has one. */
  static List<Cidr> gateways(List<Result.IpConfig> ips) {
    return ips.stream()
        .flatMap(ip -> ip.gateway().map(g -> new Cidr(g, ip.address().prefix())).stream())
        .distinct()
        .toList();
  }

  /** The first address of a network, by custom its gateway. */
  static InetAddress firstAddress(Cidr network) {
    Cidr base = network.network();
    return InetAddresses.fromNumber(
        InetAddresses.toNumber(base.address()).add(BigInteger.ONE),
        InetAddresses.bits(base.address()));
  }
}
