// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.api.Rollback;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.plugins.support.AttachmentAlias;
import cni.plugins.support.Backoff;
import cni.plugins.support.Forwarding;
import cni.plugins.support.InterfaceConfigurator;
import cni.plugins.support.Ipam;
import cni.plugins.support.LoopbackFilter;
import cni.plugins.support.Masquerade;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RuleBackend;
import cni.plugins.support.VethPair;
import java.io.IOException;
import java.net.InetAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * One ADD: connects a container's interface to the bridge. The port of the bridge is the host end
 * of a new veth, or the host's interface of an earlier plugin in the chain.
 */
final class BridgeAttachment {
  /** How long to wait until the port is up; as long as the reference plugin does. */
  private static final Duration PORT_TIMEOUT = Duration.ofMillis(2550);

  private final AttachmentRequest request;
  private final BridgeConfig config;
  private final NetNsSession host;
  private final NetNsSession container;
  private final Bridge bridge;
  private final Rollback rollback = new Rollback();

  /** Deletes the veth, or removes the adopted port from the bridge; set once there is a port. */
  private Ipam.Detach detach = () -> {};

  BridgeAttachment(
      AttachmentRequest request, BridgeConfig config, NetNsSession host, NetNsSession container) {
    this.request = request;
    this.config = config;
    this.host = host;
    this.container = container;
    this.bridge = new Bridge(host, config);
  }

  /** The links on the host that the result describes. */
  private record HostLinks(Link bridge, Link port) {}

  /**
   * Attaches the container.
   *
   * @throws CniException if that fails; everything except the bridge itself has been rolled back
   */
  Result attach() throws CniException {
    return rollback.guard(
        "attaching " + sandboxPath() + " to bridge " + config.bridge(), this::doAttach);
  }

  private Result doAttach() throws CniException, IOException {
    Link bridgeLink = bridge.ensure();
    Result previous = LoopbackFilter.previousResult(request).orElse(Result.EMPTY);
    Optional<Result.Interface> adoptable =
        BridgePlugin.adoptableInterface(previous, config.bridge());
    return adoptable.isPresent()
        ? attachAdopted(bridgeLink, previous, adoptable.get())
        : attachVeth(bridgeLink, previous);
  }

  /** Creates a veth with one end in the container, the other end being a port of the bridge. */
  private Result attachVeth(Link bridgeLink, Result previous) throws CniException, IOException {
    String port =
        VethPair.create(request, host, container, config.mtu(), bridgeLink.index(), config.mac());
    detach = () -> host.rtnetlink().executeIgnoring(LinkRequests.delete(port), Errno.ENODEV);
    rollback.add(detach::detach);
    Optional<InterfaceConfigurator> configurator = startConfigurator();
    BridgePort.configure(host.rtnetlink(), port, config);
    int containerIndex = previous.interfaces().size() + 2; // after the bridge and the port
    Optional<Result> assigned = assignAddresses(containerIndex);
    Link containerEnd = containerLink();
    if (config.spoofCheck()) { // before the interface is up and can send
      addSpoofCheck(port, containerEnd);
    }
    Optional<Link> vlan = Optional.empty();
    if (assigned.isPresent()) {
      vlan =
          configureAddresses(bridgeLink, containerEnd, configurator.orElseThrow(), assigned.get());
    } else if (config.containerInterfaceUp()) {
      container.rtnetlink().execute(LinkRequests.setUp(containerEnd.index()));
    }
    // Read last: the bridge's hardware address may have changed as ports were added and removed.
    HostLinks links = hostLinks(AttachmentAlias.request(request, port), port);
    if (config.containerInterfaceUp()) {
      links = awaitPortUp(links);
    }
    List<Result.Interface> interfaces = new ArrayList<>(previous.interfaces());
    interfaces.add(toInterface(links.bridge(), ""));
    interfaces.add(toInterface(links.port(), ""));
    interfaces.add(toInterface(containerEnd, sandboxPath()));
    vlan.ifPresent(link -> interfaces.add(toInterface(link, "")));
    return buildResult(previous, interfaces, assigned);
  }

  /**
   * Makes the host's interface of an earlier plugin in the chain a port of the bridge
   * (CONVENTIONS.md of the CNI specification, chained plugins).
   */
  private Result attachAdopted(Link bridgeLink, Result previous, Result.Interface port)
      throws CniException, IOException {
    Link link = findAdoptableLink(bridgeLink, port);
    int masterBefore = link.master();
    detach = () -> host.rtnetlink().execute(LinkRequests.setMaster(link.index(), masterBefore));
    rollback.add(detach::detach);
    host.rtnetlink()
        .execute(
            List.of(
                LinkRequests.setMaster(link.index(), bridgeLink.index()),
                LinkRequests.setUp(link.index())));
    Optional<InterfaceConfigurator> configurator = startConfigurator();
    BridgePort.configure(host.rtnetlink(), port.name(), config);
    Optional<Result> assigned =
        config.ipam().isPresent() ? assignAddresses(containerIndex(previous)) : Optional.empty();
    if (config.spoofCheck()) {
      addSpoofCheck(port.name(), containerLink());
    }
    Optional<Link> vlan = Optional.empty();
    if (assigned.isPresent()) {
      vlan =
          configureAddresses(
              bridgeLink, containerLink(), configurator.orElseThrow(), assigned.get());
    }
    // Not awaitPortUp: a tap device has no carrier until a program opens it.
    HostLinks links = hostLinks(port.name());
    List<Result.Interface> interfaces = new ArrayList<>();
    for (Result.Interface it : previous.interfaces()) {
      interfaces.add(it.equals(port) ? toInterface(links.port(), "") : it);
    }
    interfaces.add(toInterface(links.bridge(), ""));
    vlan.ifPresent(it -> interfaces.add(toInterface(it, "")));
    return buildResult(previous, interfaces, assigned);
  }

  private Link findAdoptableLink(Link bridgeLink, Result.Interface port)
      throws CniException, IOException {
    Link link =
        host.rtnetlink()
            .link(port.name())
            .orElseThrow(
                () ->
                    invalid(
                        "prevResult names interface "
                            + port.name()
                            + " on the host, which does not exist"));
    if (link.master() != 0 && link.master() != bridgeLink.index()) {
      throw invalid(
          "interface " + port.name() + " of prevResult already belongs to another bridge");
    }
    return link;
  }

  private int containerIndex(Result previous) throws CniException {
    return previous
        .indexOf(ifName(), sandboxPath())
        .orElseThrow(
            () ->
                invalid(
                    "ipam has no interface for its addresses: the plugin before bridge created no "
                        + ifName()
                        + " in "
                        + sandboxPath()));
  }

  private static CniException invalid(String message) {
    return new CniException(ErrorCode.INVALID_CONFIG, message);
  }

  /** Starts configuring the container's interface, if there will be addresses. */
  private Optional<InterfaceConfigurator> startConfigurator() {
    return config.ipam().isPresent()
        ? Optional.of(InterfaceConfigurator.start(container, ifName(), config.dad()))
        : Optional.empty();
  }

  /**
   * Delegates ADD to the ipam plugin, if there is one.
   *
   * @param index the position of the container's interface in the result
   */
  private Optional<Result> assignAddresses(int index) throws CniException {
    return Ipam.add(request, rollback, () -> detach.detach())
        .map(assigned -> withGateways(assigned, index));
  }

  /**
   * Configures the addresses on the container's interface, and on the host the gateways, forwarding
   * and masquerading.
   *
   * @return the bridge's VLAN interface, if there is one
   */
  private Optional<Link> configureAddresses(
      Link bridgeLink, Link containerEnd, InterfaceConfigurator configurator, Result assigned)
      throws CniException, IOException {
    int index = assigned.ips().getFirst().interfaceIndex().orElseThrow();
    configurator.apply(containerEnd.index(), assigned, index, request.context().deadline());
    Optional<Link> vlan = Optional.empty();
    if (config.isGateway()) {
      vlan = bridge.ensureGateways(bridgeLink, Bridge.gateways(assigned.ips()));
      Forwarding.enable(host, assigned.ips());
    }
    if (config.masqueradeBackend().isPresent()) {
      addMasquerade(config.masqueradeBackend().get(), assigned.ips());
    }
    return vlan;
  }

  private Result buildResult(
      Result previous, List<Result.Interface> interfaces, Optional<Result> assigned) {
    Result added = assigned.orElse(Result.EMPTY).withInterfaces(interfaces);
    return previous.withInterfaces(List.of()).merge(added).withDns(config.dns());
  }

  private void addSpoofCheck(String port, Link containerEnd) throws CniException, IOException {
    var check = new MacSpoofCheck(host, request.config().network(), request.attachment().id());
    check.add(port, containerEnd.mac());
    rollback.add(check::delete);
  }

  private void addMasquerade(RuleBackend backend, List<Result.IpConfig> ips) throws CniException {
    var masquerade = new Masquerade(host, request.config().network(), request.attachment().id());
    masquerade.add(backend, ips.stream().map(Result.IpConfig::address).toList());
    rollback.add(masquerade::delete);
  }

  /** Completes the ipam result: interface index, gateways, default routes. */
  private Result withGateways(Result assigned, int index) {
    List<Result.IpConfig> ips = new ArrayList<>();
    List<Result.Route> routes = new ArrayList<>(assigned.routes());
    for (Result.IpConfig assignedIp : assigned.ips()) {
      Result.IpConfig ip = assignedIp.withInterface(index);
      if (ip.gateway().isEmpty() && config.isGateway()) {
        ip = ip.withGateway(Bridge.firstAddress(ip.address()));
      }
      ips.add(ip);
      if (config.isDefaultGateway()) {
        addDefaultRoute(ip, routes);
      }
    }
    return new Result(assigned.interfaces(), ips, routes, assigned.dns());
  }

  /** Adds the default route by an address's gateway unless there is one. */
  static void addDefaultRoute(Result.IpConfig ip, List<Result.Route> routes) {
    InetAddress gateway = ip.gateway().orElseThrow();
    Cidr defaultRoute = Cidr.defaultRoute(gateway);
    if (routes.stream().noneMatch(route -> route.destination().equals(defaultRoute))) {
      routes.add(new Result.Route(defaultRoute, ip.gateway()));
    }
  }

  private HostLinks hostLinks(String port) throws IOException {
    List<Link> links = host.rtnetlink().links(config.bridge(), port);
    return new HostLinks(links.getFirst(), links.getLast());
  }

  /** Executes a request and returns {@link #hostLinks(String)} in one batch. */
  private HostLinks hostLinks(NetlinkRequest change, String port) throws IOException {
    List<Link> links = host.rtnetlink().linksAfter(change, config.bridge(), port);
    return new HostLinks(links.getFirst(), links.getLast());
  }

  /**
   * Returns the links once the bridge forwards the port's packets, usually immediately.
   *
   * @param links the links when they were last read
   */
  private HostLinks awaitPortUp(HostLinks links) throws CniException, IOException {
    var backoff = new Backoff(PORT_TIMEOUT);
    String port = links.port().name();
    while (true) {
      Link.OperState state = links.port().operState();
      if (state == Link.OperState.UP || state == Link.OperState.UNKNOWN) {
        return links;
      }
      if (!backoff.pause("waiting for the bridge's port " + port, request.context().deadline())) {
        throw new CniException(
            ErrorCode.TRY_AGAIN_LATER,
            "port %s of bridge %s is %s instead of UP after %d ms"
                .formatted(port, config.bridge(), state, PORT_TIMEOUT.toMillis()));
      }
      links = hostLinks(port);
    }
  }

  private Link containerLink() throws CniException, IOException {
    return container
        .rtnetlink()
        .link(ifName())
        .orElseThrow(
            () ->
                new CniException(
                    ErrorCode.INTERNAL,
                    "interface " + ifName() + " vanished from " + sandboxPath()));
  }

  private static Result.Interface toInterface(Link link, String sandboxPath) {
    return new Result.Interface(link.name(), link.mac(), 0, sandboxPath);
  }

  private String ifName() {
    return request.attachment().interfaceName();
  }

  private String sandboxPath() {
    return request.attachment().sandbox();
  }
}
