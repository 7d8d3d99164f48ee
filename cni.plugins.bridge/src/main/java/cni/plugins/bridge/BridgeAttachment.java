package cni.plugins.bridge;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.api.Rollback;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.sandbox.Attempt;
import cni.sandbox.Backoff;
import cni.sandbox.Forwarding;
import cni.sandbox.InterfaceSetup;
import cni.sandbox.Ipam;
import cni.sandbox.Masquerade;
import cni.sandbox.Namespace;
import cni.sandbox.RuleBackend;
import cni.sandbox.VethPair;
import java.io.IOException;
import java.net.InetAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** One ADD: a container's interface becomes a port of the bridge. */
final class BridgeAttachment {
  /** As long as the reference plugin waits for the port. */
  private static final Duration PORT_PATIENCE = Duration.ofMillis(2550);

  private final AttachmentRequest request;
  private final BridgeConfig config;
  private final Namespace host;
  private final Namespace sandbox;
  private final Bridge bridge;
  private final Rollback rollback = new Rollback();

  /** Takes the container's interface off the bridge. */
  private Ipam.Disconnection disconnection = () -> {};

  BridgeAttachment(
      AttachmentRequest request, BridgeConfig config, Namespace host, Namespace sandbox) {
    this.request = request;
    this.config = config;
    this.host = host;
    this.sandbox = sandbox;
    this.bridge = new Bridge(host, config);
  }

  /**
   * Attaches the container.
   *
   * @throws CniException if that fails; everything but the bridge itself has been taken back
   */
  Result attach() throws CniException {
    return Attempt.orTakeBack(
        "attaching " + sandboxPath() + " to bridge " + config.bridge(),
        rollback,
        this::attachOrThrow);
  }

  private Result attachOrThrow() throws CniException, IOException {
    Link bridgeLink = bridge.ensure();
    Result previous = request.prevResult().orElse(Result.EMPTY);
    Optional<Result.Interface> adopted = BridgePlugin.madeBefore(previous, config.bridge());
    return adopted.isPresent()
        ? adopt(bridgeLink, previous, adopted.get())
        : connect(bridgeLink, previous);
  }

  /** Makes a veth of which one end is in the container, and the other a port of the bridge. */
  private Result connect(Link bridgeLink, Result previous) throws CniException, IOException {
    String port =
        VethPair.create(request, host, sandbox, config.mtu(), bridgeLink.index(), config.mac());
    disconnection = () -> host.routing().executeUnless(LinkRequests.delete(port), Errno.ENODEV);
    rollback.add(disconnection::disconnect);
    Optional<InterfaceSetup> setup = beginSetup();
    BridgePort.configure(host.routing(), port, config);
    Optional<Result> assigned = assign(previous.interfaces().size() + 2);
    Link container = containerLink();
    if (config.spoofCheck()) { // before it can send anything
      refuseOtherMacs(port, container);
    }
    List<Link> vlan = List.of();
    if (assigned.isPresent()) {
      vlan = address(bridgeLink, container, setup.orElseThrow(), assigned.get());
    } else if (config.containerInterface()) {
      sandbox.routing().execute(LinkRequests.setUp(container.index()));
    }
    // Hardware addresses as they are in the end: joining and leaving may have changed the bridge's.
    List<Link> ends = config.containerInterface() ? awaitPort(port) : onHost(port);
    List<Result.Interface> interfaces = new ArrayList<>(previous.interfaces());
    ends.forEach(link -> interfaces.add(describe(link, "")));
    interfaces.add(describe(container, sandboxPath()));
    vlan.forEach(link -> interfaces.add(describe(link, "")));
    return complete(previous, interfaces, assigned);
  }

  /** Makes the host's end of what an earlier plugin created a port (CONVENTIONS, "Chained"). */
  private Result adopt(Link bridgeLink, Result previous, Result.Interface port)
      throws CniException, IOException {
    Link link =
        host.routing()
            .link(port.name())
            .orElseThrow(
                () ->
                    new CniException(
                        ErrorCode.INVALID_CONFIG,
                        "prevResult names interface "
                            + port.name()
                            + " on the host, which does not exist"));
    if (link.master() != 0 && link.master() != bridgeLink.index()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "interface " + port.name() + " of prevResult already belongs to another bridge");
    }
    int before = link.master();
    disconnection = () -> host.routing().execute(LinkRequests.setMaster(link.index(), before));
    rollback.add(disconnection::disconnect);
    host.routing()
        .execute(
            List.of(
                LinkRequests.setMaster(link.index(), bridgeLink.index()),
                LinkRequests.setUp(link.index())));
    Optional<InterfaceSetup> setup = beginSetup();
    BridgePort.configure(host.routing(), port.name(), config);
    Optional<Result> assigned =
        config.ipam().isPresent() ? assign(containerIndex(previous)) : Optional.empty();
    if (config.spoofCheck()) {
      refuseOtherMacs(port.name(), containerLink());
    }
    List<Link> vlan = List.of();
    if (assigned.isPresent()) {
      vlan = address(bridgeLink, containerLink(), setup.orElseThrow(), assigned.get());
    }
    // A tap that was adopted has no carrier before somebody uses it, so it is not waited for.
    List<Link> ends = onHost(port.name());
    List<Result.Interface> interfaces = new ArrayList<>();
    for (Result.Interface it : previous.interfaces()) {
      interfaces.add(it.equals(port) ? describe(ends.getLast(), "") : it);
    }
    interfaces.add(describe(ends.getFirst(), ""));
    vlan.forEach(it -> interfaces.add(describe(it, "")));
    return complete(previous, interfaces, assigned);
  }

  private int containerIndex(Result previous) throws CniException {
    return previous
        .indexOf(ifName(), sandboxPath())
        .orElseThrow(
            () ->
                new CniException(
                    ErrorCode.INVALID_CONFIG,
                    "ipam has no interface for its addresses: the plugin before bridge made no "
                        + ifName()
                        + " in "
                        + sandboxPath()));
  }

  /** Without addresses the container's interface stays as it is. */
  private Optional<InterfaceSetup> beginSetup() {
    return config.ipam().isPresent()
        ? Optional.of(InterfaceSetup.begin(sandbox, ifName(), config.dad()))
        : Optional.empty();
  }

  /**
   * Has the ipam plugin give out addresses, if there is one.
   *
   * @param index where the container's interface will stand in the result
   */
  private Optional<Result> assign(int index) throws CniException {
    return Ipam.add(request, rollback, () -> disconnection.disconnect())
        .map(assigned -> withGateways(assigned, index));
  }

  /**
   * Puts the addresses on the container's interface, and on the bridge what belongs to them.
   *
   * @return the bridge's interface in the VLAN, if there is one
   */
  private List<Link> address(Link bridgeLink, Link container, InterfaceSetup setup, Result assigned)
      throws CniException, IOException {
    int index = assigned.ips().getFirst().interfaceIndex().orElseThrow();
    setup.apply(container.index(), assigned, index, request.context().deadline());
    Optional<Link> vlan = Optional.empty();
    if (config.gateway()) {
      vlan = bridge.ensureGateways(bridgeLink, Bridge.gateways(assigned.ips()));
      Forwarding.enable(host, assigned.ips());
    }
    if (config.masquerade().isPresent()) {
      masquerade(config.masquerade().get(), assigned.ips());
    }
    return vlan.stream().toList();
  }

  private Result complete(
      Result previous, List<Result.Interface> interfaces, Optional<Result> assigned) {
    Result added = assigned.orElse(Result.EMPTY).withInterfaces(interfaces);
    return previous.withInterfaces(List.of()).plus(added).withDns(config.dns());
  }

  private void refuseOtherMacs(String port, Link container) throws CniException, IOException {
    var check = new SpoofCheck(host, request.config().network(), request.attachment().id());
    check.add(port, container.mac());
    rollback.add(check::delete);
  }

  private void masquerade(RuleBackend backend, List<Result.IpConfig> ips) throws CniException {
    var masquerade = new Masquerade(host, request.config().network(), request.attachment().id());
    masquerade.add(backend, ips.stream().map(Result.IpConfig::address).toList());
    rollback.add(masquerade::delete);
  }

  /** Completes what the ipam plugin left to us: interface, gateways, default routes. */
  private Result withGateways(Result assigned, int index) {
    List<Result.IpConfig> ips = new ArrayList<>();
    List<Result.Route> routes = new ArrayList<>(assigned.routes());
    for (Result.IpConfig answered : assigned.ips()) {
      Result.IpConfig ip = answered.onInterface(index);
      if (ip.gateway().isEmpty() && config.gateway()) {
        ip = ip.via(Bridge.firstOf(ip.address()));
      }
      ips.add(ip);
      if (config.defaultGateway()) {
        addDefaultRoute(ip, routes);
      }
    }
    return new Result(assigned.interfaces(), ips, routes, assigned.dns());
  }

  private static void addDefaultRoute(Result.IpConfig ip, List<Result.Route> routes) {
    InetAddress gateway = ip.gateway().orElseThrow();
    Cidr everything = Cidr.everything(gateway);
    if (routes.stream().noneMatch(route -> route.destination().equals(everything))) {
      routes.add(new Result.Route(everything, ip.gateway()));
    }
  }

  /** The bridge and its port. */
  private List<Link> onHost(String port) throws IOException {
    return host.routing().links(config.bridge(), port);
  }

  /** As {@link #onHost}, when the bridge passes the port's packets on: usually it does at once. */
  private List<Link> awaitPort(String port) throws CniException, IOException {
    var patience = new Backoff(PORT_PATIENCE);
    while (true) {
      List<Link> links = onHost(port);
      Link.OperState state = links.getLast().operState();
      if (state == Link.OperState.UP || state == Link.OperState.UNKNOWN) {
        return links;
      }
      if (!patience.pause("waiting for the bridge's port " + port, request.context().deadline())) {
        throw new CniException(
            ErrorCode.TRY_AGAIN_LATER,
            "port %s of bridge %s is %s instead of UP after %d ms"
                .formatted(port, config.bridge(), state, PORT_PATIENCE.toMillis()));
      }
    }
  }

  private Link containerLink() throws CniException, IOException {
    return sandbox
        .routing()
        .link(ifName())
        .orElseThrow(
            () ->
                new CniException(
                    ErrorCode.INTERNAL,
                    "interface " + ifName() + " vanished from " + sandboxPath()));
  }

  private static Result.Interface describe(Link link, String sandboxPath) {
    return new Result.Interface(link.name(), link.mac(), 0, sandboxPath);
  }

  private String ifName() {
    return request.attachment().interfaceName();
  }

  private String sandboxPath() {
    return request.attachment().sandbox();
  }
}
