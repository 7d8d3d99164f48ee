package cni.plugins.main.ptp;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.api.Rollback;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.plugins.main.InterfacePlugin;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.Forwarding;
import cni.plugins.support.InterfaceAddresses;
import cni.plugins.support.InterfaceConfigurator;
import cni.plugins.support.Ipam;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.VethPair;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A veth between a container and the host, with the addresses and routes that make it a
 * point-to-point link: the container reaches the gateway alone on the link, and everything else,
 * its own network included, through it.
 */
final class PointToPointLink {
  private final AttachmentRequest request;
  private final NetNsSession host;
  private final NetNsSession sandbox;
  private final String name;

  PointToPointLink(AttachmentRequest request, NetNsSession host, NetNsSession sandbox) {
    this.request = request;
    this.host = host;
    this.sandbox = sandbox;
    this.name = request.attachment().interfaceName();
  }

  /**
   * Makes both ends and what belongs to them.
   *
   * @return host's end and container's end, addresses of the latter, routes, resolvers
   */
  Result create(int mtu, Rollback rollback) throws CniException, IOException {
    String hostName = VethPair.create(request, host, sandbox, mtu, 0, Optional.empty());
    Ipam.Detach delete =
        () -> host.rtnetlink().executeIgnoring(LinkRequests.delete(hostName), Errno.ENODEV);
    rollback.add(delete::detach);
    var setup = InterfaceConfigurator.start(sandbox, name, false);
    Link hostEnd = host.rtnetlink().links(hostName).getFirst();
    Link end = sandbox.rtnetlink().links(name).getFirst();
    Result made =
        InterfacePlugin.withAddresses(
            Result.EMPTY.withInterfaces(
                List.of(
                    new Result.Interface(hostName, hostEnd.mac(), 0, ""),
                    new Result.Interface(name, end.mac(), 0, request.attachment().sandbox()))),
            Ipam.add(request, rollback, delete).orElseThrow());
    requireGateways(made);
    Forwarding.enable(host, made.ips());
    Forwarding.disableAcceptRa(host, hostEnd);
    if (made.ips().stream().anyMatch(ip -> !ip.address().isV4())) {
      // Nobody else is on the link; and while its own address is in doubt the host forwards
      // nothing.
      host.runSysctl(sysctl -> sysctl.ensure("net/ipv6/conf/" + hostName + "/accept_dad", "0"));
    }
    host.rtnetlink().execute(hostRequests(hostEnd, made.ips()));
    setup.apply(
        end.index(), made, 1, containerRoutes(end, made.ips()), request.context().deadline());
    return made;
  }

  private static void requireGateways(Result result) throws CniException {
    for (Result.IpConfig ip : result.ips()) {
      if (ip.gateway().isEmpty()) {
        throw new CniException(
            ErrorCode.INVALID_CONFIG,
            "ptp needs a gateway for each address, for the end on the host; the ipam plugin gave"
                + " none for "
                + ip.address());
      }
    }
  }

  private static List<Cidr> gateways(List<Result.IpConfig> ips) {
    return ips.stream().map(ip -> Cidr.ofHost(ip.gateway().orElseThrow())).distinct().toList();
  }

  private static List<NetlinkRequest> hostRequests(Link hostEnd, List<Result.IpConfig> ips) {
    List<NetlinkRequest> requests = new ArrayList<>();
    for (Cidr gateway : gateways(ips)) {
      int flags = gateway.isV4() ? 0 : RtnetlinkConstants.IFA_F_NODAD;
      requests.add(
          new InterfaceAddress(hostEnd.index(), gateway.address(), gateway.prefix(), flags)
              .addRequest());
    }
    for (Result.IpConfig ip : ips) {
      requests.add(containerRoute(hostEnd, ip).addRequest());
    }
    return requests;
  }

  private static Route containerRoute(Link hostEnd, Result.IpConfig ip) {
    Cidr address = Cidr.ofHost(ip.address().address());
    return Route.unicast(
            address.address(), address.prefix(), new Route.Hop(hostEnd.index(), Optional.empty()))
        .withAttributes(
            0, RtnetlinkConstants.RT_TABLE_MAIN, RtnetlinkConstants.RT_SCOPE_HOST, 0, 0);
  }

  /** In place of the kernel's route to the network on the link, one to and one by the gateway. */
  private static List<NetlinkRequest> containerRoutes(Link end, List<Result.IpConfig> ips) {
    List<NetlinkRequest> requests = new ArrayList<>();
    for (Result.IpConfig ip : ips) {
      Cidr network = ip.address().network();
      InetAddress source = ip.address().address();
      Cidr gateway = Cidr.ofHost(ip.gateway().orElseThrow());
      var onLink = new Route.Hop(end.index(), Optional.empty());
      var byGateway = new Route.Hop(end.index(), ip.gateway());
      boolean hasNetwork = network.prefix() < InetAddresses.bits(source);
      if (hasNetwork) {
        requests.add(
            Route.unicast(network.address(), network.prefix(), onLink).deleteKernelRouteRequest());
      }
      requests.add(
          Route.unicast(gateway.address(), gateway.prefix(), onLink)
              .withSource(source)
              .addRequest());
      if (hasNetwork) {
        requests.add(
            Route.unicast(network.address(), network.prefix(), byGateway)
                .withSource(source)
                .addRequest());
      }
    }
    return requests;
  }

  /**
   * Compares the end on the host.
   *
   * @param end the container's end
   */
  void check(Link end, Result result, List<Result.IpConfig> ips) throws CniException, IOException {
    Link hostEnd =
        host.rtnetlink()
            .link(end.linkedIndex())
            .filter(link -> link.isKind("veth") && link.linkedIndex() == end.index())
            .orElseThrow(
                () ->
                    AttachmentCheck.mismatch(
                        "the peer of " + name + " in the container is not on the host"));
    Optional<Result.Interface> expected = result.find(hostEnd.name(), "");
    if (expected.isEmpty()) {
      throw AttachmentCheck.mismatch(
          "the peer of %s is %s, which prevResult does not name".formatted(name, hostEnd.name()));
    }
    AttachmentCheck.requireLink(host, expected.get(), "the host");
    List<Cidr> there = InterfaceAddresses.cidrs(host.rtnetlink().addresses(hostEnd.index()));
    for (Result.IpConfig ip : ips) {
      if (ip.gateway().isPresent() && !there.contains(Cidr.ofHost(ip.gateway().get()))) {
        throw AttachmentCheck.mismatch(
            "interface %s on the host does not have the gateway's address %s; it has %s"
                .formatted(hostEnd.name(), InetAddresses.format(ip.gateway().get()), there));
      }
      requireRoute(hostEnd, ip);
    }
  }

  private void requireRoute(Link hostEnd, Result.IpConfig ip) throws CniException, IOException {
    Cidr address = Cidr.ofHost(ip.address().address());
    int family = address.isV4() ? RtnetlinkConstants.AF_INET : RtnetlinkConstants.AF_INET6;
    boolean there =
        host.rtnetlink().routes(family).stream()
            .filter(route -> route.table() == RtnetlinkConstants.RT_TABLE_MAIN)
            .filter(route -> route.hasDestination(address.address(), address.prefix()))
            .anyMatch(
                route -> route.hops().stream().anyMatch(hop -> hop.link() == hostEnd.index()));
    if (!there) {
      throw AttachmentCheck.mismatch(
          "the host has no route to %s by interface %s".formatted(address, hostEnd.name()));
    }
  }
}
