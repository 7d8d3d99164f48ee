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
    Optional<Result.Interface> port = BridgePlugin.madeBefore(previous, config.bridge());
    Result result =
        port.isPresent() ? adopt(bridgeLink, previous, port.get()) : connect(bridgeLink, previous);
    if (config.spoofCheck()) {
      refuseOtherMacs(hostInterface(result, port).name());
    }
    if (config.ipam().isPresent()) {
      result = address(bridgeLink, result);
    } else if (config.containerInterface() && port.isEmpty()) {
      sandbox.routing().execute(LinkRequests.setUp(containerLink().index()));
    }
    // A tap that was adopted has no carrier before somebody uses it, so only a veth is waited for.
    if (config.containerInterface() && port.isEmpty()) {
      awaitPort(hostInterface(result, port).name());
    }
    result = withCurrentMacs(result, hostInterface(result, port).name());
    return result.withDns(config.dns());
  }

  /** Makes a veth of which one end is in the container, and the other a port of the bridge. */
  private Result connect(Link bridgeLink, Result previous) throws CniException, IOException {
    String hostName =
        VethPair.create(request, host, sandbox, config.mtu(), bridgeLink.index(), config.mac());
    disconnection = () -> host.routing().executeUnless(LinkRequests.delete(hostName), Errno.ENODEV);
    rollback.add(disconnection::disconnect);
    Forwarding.refuseAdvertisements(host, hostName);
    Link hostLink = host.routing().links(hostName).getFirst();
    BridgePort.configure(host.routing(), hostLink.index(), config);
    Link containerLink = containerLink();
    List<Result.Interface> interfaces = new ArrayList<>(previous.interfaces());
    interfaces.add(describe(bridgeLink, ""));
    interfaces.add(describe(hostLink, ""));
    interfaces.add(describe(containerLink, sandboxPath()));
    return previous.withInterfaces(interfaces);
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
    BridgePort.configure(host.routing(), link.index(), config);
    List<Result.Interface> interfaces = new ArrayList<>(previous.interfaces());
    interfaces.add(describe(bridgeLink, ""));
    return previous.withInterfaces(interfaces);
  }

  /** Has the ipam plugin give out addresses and puts them on the container's interface. */
  private Result address(Link bridgeLink, Result result) throws CniException, IOException {
    int index =
        result
            .indexOf(ifName(), sandboxPath())
            .orElseThrow(
                () ->
                    new CniException(
                        ErrorCode.INVALID_CONFIG,
                        "ipam has no interface for its addresses: the plugin before bridge made no "
                            + ifName()
                            + " in "
                            + sandboxPath()));
    Link container = containerLink();
    Result assigned = withGateways(Ipam.add(request, rollback, disconnection).orElseThrow(), index);
    new InterfaceSetup(sandbox, ifName(), container.index())
        .apply(assigned, index, config.dad(), request.context().deadline());
    List<Result.Interface> interfaces = new ArrayList<>(result.interfaces());
    if (config.gateway()) {
      Optional<Link> vlan = bridge.ensureGateways(bridgeLink, Bridge.gateways(assigned.ips()));
      vlan.ifPresent(link -> interfaces.add(describe(link, "")));
      Forwarding.enable(host, assigned.ips());
    }
    if (config.masquerade().isPresent()) {
      masquerade(config.masquerade().get(), assigned.ips());
    }
    List<Result.IpConfig> ips = new ArrayList<>(result.ips());
    ips.addAll(assigned.ips());
    List<Result.Route> routes = new ArrayList<>(result.routes());
    routes.addAll(assigned.routes());
    return new Result(
        interfaces, ips, routes, assigned.dns().isEmpty() ? result.dns() : assigned.dns());
  }

  private void refuseOtherMacs(String port) throws CniException, IOException {
    var check = new SpoofCheck(host, request.config().network(), request.attachment().id());
    check.add(port, containerLink().mac());
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

  /** Waits until the bridge passes packets of the port on: the kernel says so a moment later. */
  private void awaitPort(String port) throws CniException, IOException {
    var patience = new Backoff(PORT_PATIENCE);
    while (true) {
      Link link = host.routing().links(port).getFirst();
      if (link.operState() == Link.OperState.UP || link.operState() == Link.OperState.UNKNOWN) {
        return;
      }
      if (!patience.pause("waiting for the bridge's port " + port, request.context().deadline())) {
        throw new CniException(
            ErrorCode.TRY_AGAIN_LATER,
            "port %s of bridge %s is %s instead of UP after %d ms"
                .formatted(port, config.bridge(), link.operState(), PORT_PATIENCE.toMillis()));
      }
    }
  }

  /** Tells hardware addresses as they are in the end: joining and leaving may have changed them. */
  private Result withCurrentMacs(Result result, String port) throws IOException {
    List<Link> links = host.routing().links(config.bridge(), port);
    List<Result.Interface> interfaces =
        result.interfaces().stream()
            .map(
                it ->
                    links.stream()
                        .filter(link -> it.onHost() && link.name().equals(it.name()))
                        .findFirst()
                        .map(link -> describe(link, ""))
                        .orElse(it))
            .toList();
    return result.withInterfaces(interfaces);
  }

  /** The port: the interface that was adopted, or the veth's end, which follows the bridge. */
  private Result.Interface hostInterface(Result result, Optional<Result.Interface> adopted) {
    int bridgeIndex = result.indexOf(config.bridge(), "").orElseThrow();
    return adopted.orElseGet(() -> result.interfaces().get(bridgeIndex + 1));
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
