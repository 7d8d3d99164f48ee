// SPDX-License-Identifier: Apache-2.0
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
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkConstants;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkSpec;
import cni.netlink.ffm.route.Mac;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.plugins.support.Forwarding;
import cni.plugins.support.InterfaceCidrs;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RequestBatch;
import cni.plugins.support.VethPair;
import java.io.IOException;
import java.math.BigInteger;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The bridge on the host. It is created by the first ADD that needs it, shared by all attachments
 * and never deleted.
 */
final class Bridge {
  private final NetNsSession host;
  private final BridgeConfig config;

  Bridge(NetNsSession host, BridgeConfig config) {
    this.host = host;
    this.config = config;
  }

  /**
   * Creates the bridge if it does not exist, and adjusts it to the configuration.
   *
   * @throws CniException code 7 if the host has another kind of interface of that name, or the
   *     configuration needs VLAN filtering, which the kernel lacks
   */
  Link ensure() throws CniException, IOException {
    try {
      return createOrAdjust();
    } catch (NetlinkException e) {
      throw orNoVlanFiltering(e);
    }
  }

  /** Returns the error for the user if the kernel lacks VLAN filtering, otherwise throws. */
  private CniException orNoVlanFiltering(NetlinkException e) throws NetlinkException {
    if (e.is(Errno.EOPNOTSUPP) && config.vlans().isFiltering()) {
      return new CniException(
          ErrorCode.INVALID_CONFIG,
          "vlan and vlanTrunk need VLAN filtering on bridges, which this kernel lacks"
              + " (CONFIG_BRIDGE_VLAN_FILTERING)",
          e);
    }
    throw e;
  }

  /**
   * Makes the bridge filter packets by VLANs.
   *
   * @throws CniException code 7 if the kernel lacks it
   */
  void enableVlanFiltering(Link bridge) throws CniException, IOException {
    try {
      host.rtnetlink().execute(LinkRequests.setVlanFiltering(bridge.index(), true));
    } catch (NetlinkException e) {
      throw orNoVlanFiltering(e);
    }
  }

  private Link createOrAdjust() throws CniException, IOException {
    RouteSocket rtnetlink = host.rtnetlink();
    Optional<Link> found = rtnetlink.link(config.bridge());
    Link bridge = found.isPresent() ? found.get() : create(rtnetlink, Mac.random());
    requireBridge(bridge);
    adjust(rtnetlink, bridge);
    return bridge;
  }

  /**
   * Requires that the host's interface of the configured name is a bridge.
   *
   * @throws CniException code 7 if it is not
   */
  static void requireBridge(Link link) throws CniException {
    if (!link.isKind("bridge")) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "bridge "
              + link.name()
              + " is the name of an interface of the host that is not a bridge; choose another");
    }
  }

  /**
   * Creates the bridge again after it was deleted, with the hardware address that the containers
   * know as that of their gateway.
   *
   * @param mac the address; if empty, a random one
   * @return whether this call created it, and not a concurrent one
   */
  boolean recreate(String mac) throws CniException, IOException {
    RouteSocket rtnetlink = host.rtnetlink();
    boolean exists = rtnetlink.link(config.bridge()).isPresent();
    Link bridge = create(rtnetlink, mac.isEmpty() ? Mac.random() : Mac.parse(mac));
    try {
      requireBridge(bridge);
      adjust(rtnetlink, bridge);
    } catch (CniException | IOException e) {
      if (!exists) {
        deleteUnused();
      }
      throw e;
    }
    return !exists;
  }

  /** Deletes the bridge unless it has ports. */
  void deleteUnused() throws IOException {
    RouteSocket rtnetlink = host.rtnetlink();
    Optional<Link> bridge = rtnetlink.link(config.bridge());
    if (bridge.isPresent()
        && rtnetlink.links().stream().noneMatch(it -> it.master() == bridge.get().index())) {
      rtnetlink.executeIgnoring(LinkRequests.delete(bridge.get().index()), Errno.ENODEV);
    }
  }

  private Link create(RouteSocket rtnetlink, byte[] mac) throws IOException {
    // With an explicit hardware address, which is independent of the ports.
    LinkSpec link = LinkSpec.bridge(config.bridge()).mtu(config.mtu()).mac(mac);
    if (config.vlans().isFiltering()) {
      link.vlanFiltering();
    }
    rtnetlink.executeIgnoring(link.request(), Errno.EEXIST); // created by a concurrent ADD
    Link bridge = rtnetlink.links(config.bridge()).getFirst();
    if (bridge.mac().equals(Mac.format(mac))) { // not of a concurrent ADD
      BridgeMac.noteFixed(host, bridge.index(), bridge.mac());
    }
    return bridge;
  }

  private void adjust(RouteSocket rtnetlink, Link bridge) throws IOException {
    Forwarding.disableAcceptRa(host, bridge);
    List<NetlinkRequest> requests = new ArrayList<>();
    Optional<String> mac = BridgeMac.toFix(host, bridge);
    mac.ifPresent(it -> requests.add(LinkRequests.setMac(bridge.index(), it)));
    if (!bridge.isUp()) {
      requests.add(LinkRequests.setUp(bridge.index()));
    }
    if (config.promiscMode() && (bridge.flags() & LinkConstants.IFF_PROMISC) == 0) {
      requests.add(LinkRequests.setPromiscuous(bridge.index()));
    }
    if (config.vlans().isFiltering()) {
      requests.add(LinkRequests.setVlanFiltering(bridge.index(), true));
    }
    rtnetlink.execute(requests);
    mac.ifPresent(it -> BridgeMac.noteFixed(host, bridge.index(), it));
  }

  /**
   * Assigns the gateways' addresses to the bridge or, with {@code vlan}, to its VLAN interface.
   *
   * @return the VLAN interface, if there is one
   * @throws CniException code 7 if another address conflicts and {@code forceAddress} is not set
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
    List<InterfaceAddress> present = host.rtnetlink().addresses(link.index());
    var changes = new AddressChanges(new ArrayList<>(), new ArrayList<>());
    for (Cidr gateway : wanted) {
      changes.add(plan(link, present, gateway, wanted));
    }
    changes.apply(host.rtnetlink());
  }

  /**
   * Changes of the addresses of the bridge. EADDRNOTAVAIL and EEXIST mean that a concurrent ADD has
   * made the same change.
   */
  record AddressChanges(List<InterfaceAddress> deletions, List<InterfaceAddress> additions) {
    private void add(AddressChanges more) {
      more.deletions.stream().filter(it -> !deletions.contains(it)).forEach(deletions::add);
      additions.addAll(more.additions);
    }

    void apply(RouteSocket rtnetlink) throws IOException {
      replace(rtnetlink, deletions, additions);
    }

    void undo(RouteSocket rtnetlink) throws IOException {
      replace(rtnetlink, additions, deletions);
    }

    private static void replace(
        RouteSocket rtnetlink, List<InterfaceAddress> before, List<InterfaceAddress> after)
        throws IOException {
      var deletions = new RequestBatch();
      before.forEach(
          it -> deletions.addIgnoring(it.deleteRequest(), Errno.EADDRNOTAVAIL, Errno.ENODEV));
      deletions.execute(rtnetlink);
      var additions = new RequestBatch();
      after.forEach(it -> additions.addIgnoring(it.addRequest(), Errno.EEXIST));
      additions.execute(rtnetlink);
    }
  }

  /**
   * Plans the changes that give a link the address of a gateway; none if it has it.
   *
   * @param wanted the addresses of all gateways
   * @throws CniException code 7 if another address conflicts and {@code forceAddress} is not set
   */
  AddressChanges plan(Link link, List<InterfaceAddress> present, Cidr gateway, List<Cidr> wanted)
      throws CniException {
    if (present.stream().map(InterfaceCidrs::of).anyMatch(gateway::equals)) {
      return new AddressChanges(List.of(), List.of());
    }
    List<InterfaceAddress> deletions = new ArrayList<>();
    for (InterfaceAddress address : present) {
      Cidr cidr = InterfaceCidrs.of(address);
      if (!wanted.contains(cidr) && conflicts(cidr, gateway)) {
        requireForce(link, cidr, gateway);
        deletions.add(new InterfaceAddress(link.index(), cidr.address(), cidr.prefix()));
      }
    }
    // Without dad an address is usable immediately, as the first container needs it. A conflict
    // is not expected: no other host has the gateway's address.
    int flags = config.dad() || gateway.isV4() ? 0 : RtnetlinkConstants.IFA_F_NODAD;
    return new AddressChanges(
        deletions,
        List.of(new InterfaceAddress(link.index(), gateway.address(), gateway.prefix(), flags)));
  }

  /** A bridge has one IPv4 address, and several IPv6 addresses if their networks do not overlap. */
  static boolean conflicts(Cidr present, Cidr gateway) {
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

  /**
   * Creates the host's own interface in the VLAN: a veth whose other end is a port of the bridge.
   */
  private Link ensureVlanInterface(Link bridge) throws CniException, IOException {
    RouteSocket rtnetlink = host.rtnetlink();
    String name = vlanInterface();
    Optional<Link> found = rtnetlink.link(name);
    if (found.isEmpty()) {
      LinkSpec peer = LinkSpec.peer(name).mtu(bridge.mtu());
      LinkSpec veth = LinkSpec.veth(VethPair.randomName(), peer).mtu(bridge.mtu());
      rtnetlink.executeIgnoring(veth.master(bridge.index()).up().request(), Errno.EEXIST);
      found = rtnetlink.link(name);
    }
    Link link = found.orElseThrow(() -> new IOException(name + " vanished from the host"));
    if (!link.isUp()) { // it is new, or its ADD was interrupted before this, the last step
      BridgePort.setVlans(rtnetlink, link.linkedIndex(), config.vlans().untaggedOnly());
      rtnetlink.execute(LinkRequests.setUp(link.index()));
    }
    return link;
  }

  /**
   * Returns the name of the host's own interface in the VLAN.
   *
   * @throws CniException code 7 if it is too long
   */
  String vlanInterface() throws CniException {
    String name = config.bridge() + "." + config.vlans().pvid();
    if (!Names.isInterfaceName(name)) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "bridge name " + config.bridge() + " is too long: with the VLAN it becomes " + name);
    }
    return name;
  }

  /** Returns each distinct gateway with the prefix length of its address. */
  static List<Cidr> gateways(List<Result.IpConfig> ips) {
    return ips.stream()
        .flatMap(ip -> ip.gateway().map(g -> new Cidr(g, ip.address().prefix())).stream())
        .distinct()
        .toList();
  }

  /** Returns the first address of a network, the default gateway address. */
  static InetAddress firstAddress(Cidr network) {
    Cidr base = network.network();
    return InetAddresses.fromNumber(
        InetAddresses.toNumber(base.address()).add(BigInteger.ONE),
        InetAddresses.bits(base.address()));
  }
}
