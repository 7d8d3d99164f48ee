// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.Differences.Kind;
import cni.api.Result;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkConstants;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkUpdate;
import cni.plugins.support.Forwarding;
import cni.plugins.support.InterfaceCidrs;
import cni.plugins.support.LinkComparison;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Comparison of the bridge itself and of the gateways' addresses. The bridge is shared by all
 * attachments: what other configurations may have set stays.
 */
final class DeviceComparison {
  private static final String HOST = "the host";

  private final NetNsSession host;
  private final BridgeConfig current;
  private final BridgeConfig desired;
  private final Differences differences;
  private final LinkComparison links;
  private final Bridge bridge;

  /** The hardware address that others have given the bridge, and that stays. */
  private Optional<String> adoptedMac = Optional.empty();

  DeviceComparison(
      NetNsSession host, BridgeConfig current, BridgeConfig desired, Differences differences) {
    this.host = host;
    this.current = current;
    this.desired = desired;
    this.differences = differences.of(Kind.LINK_SETTING);
    this.links = LinkComparison.onHost(host, differences);
    this.bridge = new Bridge(host, desired);
  }

  /**
   * Compares the bridge.
   *
   * @return empty if it is missing, and created again by the change
   */
  Optional<Link> compareBridge(Result.Interface expected) throws CniException {
    Optional<Link> found = links.lookUp(expected.name());
    if (found.isEmpty()) {
      addCreation(expected);
      return Optional.empty();
    }
    Link link = found.get();
    if (!links.isKind(link, "bridge")) {
      return found;
    }
    compareMac(link, expected.mac());
    links.compareUp(link);
    comparePromiscuity(link);
    compareMtu(link);
    boolean filtering = link.kindData() instanceof Link.Bridge it && it.vlanFiltering();
    if (desired.vlans().isFiltering() && !filtering) {
      differences.add(
          "bridge %s does not filter packets by VLANs".formatted(link.name()),
          "enable VLAN filtering of " + link.name(),
          () -> bridge.enableVlanFiltering(link),
          () -> host.rtnetlink().execute(LinkRequests.setVlanFiltering(link.index(), false)));
    }
    return found;
  }

  private void addCreation(Result.Interface expected) {
    differences
        .of(Kind.INTERFACE)
        .addTentative(
            links.missing(expected.name()),
            "create bridge " + expected.name(),
            () -> bridge.recreate(expected.mac()),
            bridge::deleteUnused);
  }

  /**
   * Compares the hardware address. If the bridge was deleted and made again, its address is set to
   * the one that the containers know, unless another attachment's ADD has fixed a new one: that
   * becomes part of the result.
   */
  private void compareMac(Link link, String expected) throws CniException {
    if (expected.isEmpty() || expected.equalsIgnoreCase(link.mac())) {
      return;
    }
    if (!BridgeMac.isFixed(host, link)) {
      links.compareMac(link, expected);
      return;
    }
    adoptedMac = Optional.of(link.mac());
    differences.add(
        "interface %s in %s has hardware address %s, expected %s"
            .formatted(link.name(), HOST, link.mac(), expected),
        "adopt hardware address %s of %s".formatted(link.mac(), link.name()),
        Differences.Action.NONE,
        Differences.Action.NONE);
  }

  /** Returns a result with the hardware address that others have given the bridge. */
  Result withAdoptedMac(Result result) {
    return adoptedMac.isEmpty()
        ? result
        : result.withInterfaces(
            result.interfaces().stream()
                .map(it -> isBridge(it) ? withMac(it, adoptedMac.get()) : it)
                .toList());
  }

  private boolean isBridge(Result.Interface it) {
    return it.isOnHost() && it.name().equals(desired.bridge());
  }

  static Result.Interface withMac(Result.Interface it, String mac) {
    return new Result.Interface(
        it.name(), mac, it.mtu(), it.sandbox(), it.socketPath(), it.pciId());
  }

  /**
   * Compares the MTU. The kernel keeps it at the smallest of the ports', unless it has been set
   * (br_mtu_auto_adjust in net/bridge/br_if.c): a smaller one has been set by others, and the
   * bridge drops larger packets. A larger one does not matter.
   */
  private void compareMtu(Link link) throws CniException {
    if (link.mtu() >= LinkComparison.effectiveMtu(desired.mtu())) {
      return; // without listing the ports
    }
    OptionalInt smallest =
        hostLinks().stream().filter(it -> it.master() == link.index()).mapToInt(Link::mtu).min();
    if (smallest.isPresent() && smallest.getAsInt() > link.mtu()) {
      int expected = smallest.getAsInt();
      links.change(
          "bridge %s has MTU %d, expected at least %d, the smallest of its ports"
              .formatted(link.name(), link.mtu(), expected),
          "set the MTU of %s to %d".formatted(link.name(), expected),
          new LinkUpdate(link.index()).mtu(expected).request(),
          new LinkUpdate(link.index()).mtu(link.mtu()).request());
    }
  }

  private List<Link> hostLinks() throws CniException {
    try {
      return host.rtnetlink().links();
    } catch (IOException e) {
      throw NetNsSession.failure("listing the ports of " + desired.bridge(), e);
    }
  }

  private void comparePromiscuity(Link link) {
    boolean promiscuous = (link.flags() & LinkConstants.IFF_PROMISC) != 0;
    if (promiscuous != desired.promiscMode()) {
      links.change(
          "bridge %s has promiscuous mode %s, promiscMode in the configuration is %s"
              .formatted(link.name(), promiscuous ? "on" : "off", desired.promiscMode()),
          "set promiscuous mode of %s %s"
              .formatted(link.name(), desired.promiscMode() ? "on" : "off"),
          promiscuityRequest(link, desired.promiscMode()),
          promiscuityRequest(link, promiscuous));
    }
  }

  private static NetlinkRequest promiscuityRequest(Link link, boolean on) {
    return new LinkUpdate(link.index()).promiscuous(on).request();
  }

  /**
   * Compares the gateways' addresses on the bridge, or on its VLAN interface, and forwarding.
   *
   * <p>Another VLAN is refused while there are gateways. Its interface would need the same address,
   * and the host would have two routes to the same network, of which it uses the first: that of the
   * VLAN before, as long as other attachments need it. The container could not reach its gateway.
   *
   * @param found the bridge, if it is not missing
   * @param index the position of the container's interface in the result
   * @param changed whether the gateways are others than before
   */
  void compareGateways(Optional<Link> found, Result result, int index, boolean changed)
      throws CniException {
    List<Result.IpConfig> ips = result.ipsOf(index);
    if (ips.isEmpty()) {
      return;
    }
    if (desired.vlans().pvid() != current.vlans().pvid()) {
      differences.addUnchangeable(
          ("the gateway of %s is in VLAN %d, expected VLAN %d (vlan): the other attachments need it"
                  + " there; for VLAN %3$d add the container to a network with other addresses")
              .formatted(desired.bridge(), current.vlans().pvid(), desired.vlans().pvid()));
      return;
    }
    List<Cidr> gateways = Bridge.gateways(ips);
    Optional<Link> gatewayLink = found;
    if (desired.vlans().pvid() == 0) {
      compareAddresses(desired.bridge(), found, gateways, changed);
    } else {
      gatewayLink = compareVlanInterface(found, gateways, changed);
    }
    try {
      Forwarding.compare(host, ips, differences);
      if (gatewayLink.isPresent()) {
        Forwarding.compareLink(host, gatewayLink.get(), ips, differences);
      }
    } catch (IOException e) {
      throw NetNsSession.failure("querying forwarding on the host", e);
    }
  }

  private void compareAddresses(
      String name, Optional<Link> link, List<Cidr> gateways, boolean changed) throws CniException {
    List<InterfaceAddress> present = link.isPresent() ? addresses(link.get()) : List.of();
    List<Cidr> cidrs = present.stream().map(InterfaceCidrs::of).toList();
    for (Cidr gateway : gateways) {
      if (!cidrs.contains(gateway)) {
        compareMissing(name, cause(name, link), gateway, gateways, cidrs, changed);
      }
    }
  }

  private List<InterfaceAddress> addresses(Link link) throws CniException {
    try {
      return host.rtnetlink().addresses(link.index());
    } catch (IOException e) {
      throw NetNsSession.failure("listing the addresses of " + link.name(), e);
    }
  }

  /** Returns the finding that a missing address follows from, if there is one. */
  private Optional<String> cause(String name, Optional<Link> link) {
    if (link.isEmpty()) {
      return Optional.of(links.missing(name));
    }
    return link.get().isUp() ? Optional.empty() : Optional.of(links.isDown(link.get()));
  }

  private void compareMissing(
      String name,
      Optional<String> cause,
      Cidr gateway,
      List<Cidr> gateways,
      List<Cidr> present,
      boolean changed) {
    boolean replaced =
        present.stream().anyMatch(it -> !gateways.contains(it) && Bridge.conflicts(it, gateway));
    String finding =
        "bridge %s does not have the gateway's address %s; it has %s"
            .formatted(name, gateway, present);
    if (!replaced || (changed && desired.forceAddress())) {
      var change = new GatewayChange(name, gateway, gateways);
      cause
          .map(differences::following)
          .orElse(differences)
          .of(Kind.ADDRESS)
          .add(
              finding,
              "add address %s to %s".formatted(gateway, name),
              change::apply,
              change::undo);
    } else if (!desired.forceAddress()) {
      differences.of(Kind.ADDRESS).addUnchangeable(finding + "; set forceAddress to replace it");
    } // otherwise another network has legitimately replaced the address
  }

  /** The addition of a gateway's address, to a link that may be new by then. */
  private final class GatewayChange {
    private final String name;
    private final Cidr gateway;
    private final List<Cidr> gateways;
    private Optional<Bridge.AddressChanges> applied = Optional.empty();

    GatewayChange(String name, Cidr gateway, List<Cidr> gateways) {
      this.name = name;
      this.gateway = gateway;
      this.gateways = gateways;
    }

    void apply() throws CniException, IOException {
      Link link = host.rtnetlink().links(name).getFirst();
      var changes = bridge.plan(link, host.rtnetlink().addresses(link.index()), gateway, gateways);
      changes.apply(host.rtnetlink());
      applied = Optional.of(changes);
    }

    void undo() throws IOException {
      if (applied.isPresent()) {
        applied.get().undo(host.rtnetlink());
        applied = Optional.empty();
      }
    }
  }

  /** Compares the host's own interface in the VLAN, a veth whose peer is a port of the bridge. */
  private Optional<Link> compareVlanInterface(
      Optional<Link> bridgeLink, List<Cidr> gateways, boolean changed) throws CniException {
    String name = bridge.vlanInterface();
    Optional<Link> link = links.lookUp(name);
    if (link.isEmpty()) {
      addVlanInterface(name, gateways);
      return link;
    }
    links.compareUp(link.get());
    Optional<Link> port = peer(link.get());
    var ports = new PortComparison(host, current, desired, differences);
    if (port.isPresent()) {
      if (bridgeLink.isPresent() && port.get().master() == bridgeLink.get().index()) {
        ports.compareGatewayVlan(port.get(), desired.vlans().pvid());
      } else {
        ports.addConnection(port.get(), desired.ofVlanInterface());
      }
    }
    compareAddresses(name, link, gateways, changed);
    return link;
  }

  private Optional<Link> peer(Link link) throws CniException {
    try {
      return link.isKind("veth") ? host.rtnetlink().link(link.linkedIndex()) : Optional.empty();
    } catch (IOException e) {
      throw NetNsSession.failure("looking up the peer of " + link.name(), e);
    }
  }

  private void addVlanInterface(String name, List<Cidr> gateways) {
    differences
        .of(Kind.INTERFACE)
        .add(
            links.missing(name),
            "create interface " + name,
            () -> {
              Link link = host.rtnetlink().links(desired.bridge()).getFirst();
              var _ = bridge.ensureGateways(link, gateways);
            },
            () -> host.rtnetlink().executeIgnoring(LinkRequests.delete(name), Errno.ENODEV));
  }
}
