// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RtnetlinkConstants;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.NoSuchFileException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Configures an interface of the container from a result: sysctls, addresses, link state, routes.
 * Addresses and routes go out in one netlink send, after the sysctls that decide how the addresses
 * are announced.
 */
public final class InterfaceConfigurator {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.support");

  private final NetNsSession container;
  private final String name;
  private final boolean dad;

  private InterfaceConfigurator(NetNsSession container, String name, boolean dad) {
    this.container = container;
    this.name = name;
    this.dad = dad;
  }

  /**
   * Starts the configuration of an interface: another thread enters the namespace and sets the
   * sysctls of duplicate address detection, while the caller obtains the addresses.
   *
   * @param container the namespace that has the interface
   * @param name the interface's name in it
   * @param dad whether IPv6 duplicate address detection is enabled on the interface
   */
  public static InterfaceConfigurator start(NetNsSession container, String name, boolean dad) {
    var configurator = new InterfaceConfigurator(container, name, dad);
    container.submitSetup(configurator::setDadSysctls);
    return configurator;
  }

  /**
   * Adds the interface's addresses, sets it up, announces the addresses, adds the routes, and waits
   * for duplicate address detection.
   *
   * @param link the interface's index
   * @param result the source of the addresses and of all routes
   * @param index the interface's position in the result
   * @throws CniException code 11 if another host has one of the addresses or the deadline passes,
   *     code 999 with the kernel's message if it refuses a request
   */
  public void apply(int link, Result result, int index, Deadline deadline) throws CniException {
    apply(link, result, index, List.of(), deadline);
  }

  /**
   * Configures the interface as {@link #apply(int, Result, int, Deadline)} does, with additional
   * requests before the result's routes are added.
   *
   * @param afterUp the requests to execute once the interface is up; EEXIST and ESRCH, for objects
   *     that exist already or no longer, are ignored
   * @throws CniException as the other method
   */
  public void apply(
      int link, Result result, int index, List<NetlinkRequest> afterUp, Deadline deadline)
      throws CniException {
    List<Result.IpConfig> ips = result.ipsOf(index);
    boolean v6 = ips.stream().anyMatch(ip -> !ip.address().isV4());
    try {
      container.joinSetup();
      if (v6) {
        container.runSysctl(this::setIpv6Sysctls);
      }
      var batch = new RequestBatch().add(LinkRequests.enableArpNotify(link));
      for (Result.IpConfig ip : ips) {
        InetAddress address = ip.address().address();
        batch.add(new InterfaceAddress(link, address, ip.address().prefix()).addRequest());
      }
      // After the addresses: going up announces those that exist (arp_notify, ndisc_notify).
      batch.add(LinkRequests.setUp(link));
      boolean dadFirst = v6 && !afterUp.isEmpty(); // they may name an address as their source
      if (dadFirst) {
        batch.execute(container.rtnetlink());
        DadWait.await(container.rtnetlink(), link, name, deadline);
        batch = new RequestBatch();
      }
      for (NetlinkRequest request : afterUp) {
        batch.addIgnoring(request, Errno.EEXIST, Errno.ESRCH);
      }
      for (Result.Route route : result.routes()) {
        batch.add(route(link, route, ips).addRequest());
      }
      batch.execute(container.rtnetlink());
      if (v6 && !dadFirst) {
        DadWait.await(container.rtnetlink(), link, name, deadline);
      }
    } catch (IOException e) {
      throw NetNsSession.failure("setting up interface " + name, e);
    }
  }

  /** With a value that cannot be set, an address only takes longer until it is usable. */
  private void setDadSysctls(Sysctl sysctl) {
    Forwarding.setIfPossible(sysctl, "net/ipv6/conf/" + name + "/accept_dad", dad ? "1" : "0");
    if (dad) {
      Forwarding.setIfPossible(sysctl, "net/ipv6/conf/" + name + "/enhanced_dad", "1");
    }
  }

  private void setIpv6Sysctls(Sysctl sysctl) throws IOException {
    enableIpv6(sysctl, name);
    Forwarding.setIfPossible(sysctl, "net/ipv6/conf/" + name + "/keep_addr_on_down", "1");
    Forwarding.setIfPossible(sysctl, "net/ipv6/conf/" + name + "/ndisc_notify", "1");
  }

  /**
   * Enables IPv6 on an interface and on the loopback interface. The parameters may be hidden (/proc
   * mounted with {@code subset=pid}). If they have another value, the kernel refuses the address.
   *
   * @return the parameters that were changed from 1 to 0
   * @throws IOException if one cannot be set
   */
  static List<String> enableIpv6(Sysctl sysctl, String name) throws IOException {
    List<String> changed = new ArrayList<>();
    for (String link : List.of("lo", name)) {
      String key = "net/ipv6/conf/" + link + "/disable_ipv6";
      try {
        if (!sysctl.get(key).equals("0")) {
          sysctl.ensure(key, "0");
          changed.add(key);
        }
      } catch (NoSuchFileException e) {
        LOG.get().log(System.Logger.Level.DEBUG, Sysctl.name(key) + " is not accessible", e);
      }
    }
    return changed;
  }

  /**
   * Returns what is added for a route of a result.
   *
   * @param link the interface's index
   * @param ips the interface's addresses, whose gateways are the default next hops
   */
  public static Route route(int link, Result.Route route, List<Result.IpConfig> ips) {
    boolean onLink =
        route.scope().equals(OptionalInt.of(RtnetlinkConstants.RT_SCOPE_LINK))
            || route.gateway().filter(InetAddress::isAnyLocalAddress).isPresent();
    Optional<InetAddress> gateway =
        onLink ? Optional.empty() : route.gateway().or(() -> defaultNextHop(route, ips));
    int defaultScope =
        gateway.isPresent()
            ? RtnetlinkConstants.RT_SCOPE_UNIVERSE
            : RtnetlinkConstants.RT_SCOPE_LINK;
    return Route.unicast(
            route.destination().network().address(),
            route.destination().prefix(),
            new Route.Hop(link, gateway))
        .withAttributes(
            (int) route.priority(), // priority and table are unsigned 32-bit numbers
            (int) route.table().orElse(RtnetlinkConstants.RT_TABLE_MAIN),
            route.scope().orElse(defaultScope),
            route.mtu(),
            route.advertisedMss());
  }

  /**
   * The next hop of a route that has none: the gateway of an address (CNI specification section 5,
   * "ADD Success", {@code gw}).
   */
  private static Optional<InetAddress> defaultNextHop(
      Result.Route route, List<Result.IpConfig> ips) {
    return ips.stream()
        .flatMap(ip -> ip.gateway().stream())
        .filter(gateway -> InetAddresses.isV4(gateway) == route.destination().isV4())
        .findFirst();
  }
}
