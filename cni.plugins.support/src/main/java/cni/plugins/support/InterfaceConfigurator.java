package cni.plugins.support;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.NetlinkResponse;
import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RtnetlinkConstants;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.NoSuchFileException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Puts a result's addresses and routes on an interface of the container: one send for all of it,
 * after the kernel parameters that decide how the addresses are announced.
 */
public final class InterfaceConfigurator {
  /** As long as the reference plugins wait for duplicate address detection. */
  private static final Duration DAD_TIMEOUT = Duration.ofSeconds(5);

  private final NetNsSession sandbox;
  private final String name;
  private final boolean dad;

  private InterfaceConfigurator(NetNsSession sandbox, String name, boolean dad) {
    this.sandbox = sandbox;
    this.name = name;
    this.dad = dad;
  }

  /**
   * Begins to set up an interface: somebody else enters the namespace, while the caller finds out
   * which addresses the interface gets.
   *
   * @param sandbox where the interface is
   * @param name its name there
   * @param dad whether duplicate address detection is wanted for IPv6
   */
  public static InterfaceConfigurator start(NetNsSession sandbox, String name, boolean dad) {
    var setup = new InterfaceConfigurator(sandbox, name, dad);
    sandbox.submitSysctl(setup::setDadSysctls);
    return setup;
  }

  /**
   * Adds the addresses that belong to the interface, sets it up, announces it, adds the routes, and
   * waits until the addresses can be used.
   *
   * @param link the interface's index
   * @param result its addresses and all its routes are taken
   * @param index where the interface stands in the result
   * @throws CniException code 11 if an address is in use by someone else or the deadline passes,
   *     code 999 with the kernel's words if it refuses something
   */
  public void apply(int link, Result result, int index, Deadline deadline) throws CniException {
    apply(link, result, index, List.of(), deadline);
  }

  /**
   * As {@link #apply(int, Result, int, Deadline)}, with something in between.
   *
   * @param onceUp what the kernel is asked to do when the interface is up, before the result's
   *     routes are added; that it refuses what is there already (EEXIST) or gone (ESRCH) is no
   *     failure
   * @throws CniException as the other
   */
  public void apply(
      int link, Result result, int index, List<NetlinkRequest> onceUp, Deadline deadline)
      throws CniException {
    List<Result.IpConfig> ips = result.ipsOf(index);
    boolean v6 = ips.stream().anyMatch(ip -> !ip.address().isV4());
    try {
      sandbox.joinSysctl();
      if (v6) {
        sandbox.runSysctl(this::setIpv6Sysctls);
      }
      List<NetlinkRequest> requests = new ArrayList<>();
      requests.add(LinkRequests.enableArpNotify(link));
      for (Result.IpConfig ip : ips) {
        InetAddress address = ip.address().address();
        requests.add(new InterfaceAddress(link, address, ip.address().prefix()).addRequest());
      }
      // The addresses first: going up announces those that are there (arp_notify, ndisc_notify).
      requests.add(LinkRequests.setUp(link));
      boolean usableFirst = v6 && !onceUp.isEmpty(); // they may name an address as their source
      if (usableFirst) {
        execute(requests, List.of());
        requests.clear();
        awaitDad(link, deadline);
      }
      requests.addAll(onceUp);
      for (Result.Route route : result.routes()) {
        requests.add(route(link, route, ips).addRequest());
      }
      execute(requests, onceUp);
      if (v6 && !usableFirst) {
        awaitDad(link, deadline);
      }
    } catch (IOException e) {
      throw NetNsSession.failure("setting up interface " + name, e);
    }
  }

  private void execute(List<NetlinkRequest> requests, List<NetlinkRequest> lenient)
      throws IOException {
    List<NetlinkResponse> answers = sandbox.rtnetlink().exchange(requests);
    for (int i = 0; i < answers.size(); i++) {
      Optional<NetlinkException> error = answers.get(i).error();
      if (error.isPresent()
          && !(lenient.contains(requests.get(i))
              && (error.get().is(Errno.EEXIST) || error.get().is(Errno.ESRCH)))) {
        throw error.get();
      }
    }
  }

  private void setDadSysctls(Sysctl sysctl) throws IOException {
    setIfPresent(sysctl, "net/ipv6/conf/" + name + "/accept_dad", dad ? "1" : "0");
    if (dad) {
      setIfPresent(sysctl, "net/ipv6/conf/" + name + "/enhanced_dad", "1");
    }
  }

  private void setIpv6Sysctls(Sysctl sysctl) throws IOException {
    sysctl.ensure("net/ipv6/conf/lo/disable_ipv6", "0");
    sysctl.ensure("net/ipv6/conf/" + name + "/disable_ipv6", "0");
    sysctl.setOrVerify("net/ipv6/conf/" + name + "/keep_addr_on_down", "1");
    setIfPresent(sysctl, "net/ipv6/conf/" + name + "/ndisc_notify", "1");
  }

  /** For parameters that a kernel without IPv6, or an older one, does not have. */
  private static void setIfPresent(Sysctl sysctl, String key, String value) throws IOException {
    try {
      sysctl.setOrVerify(key, value);
    } catch (NoSuchFileException e) {
      return;
    }
  }

  private static Route route(int link, Result.Route route, List<Result.IpConfig> ips) {
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
            (int) route.priority(), // both are numbers of 32 bits without sign
            (int) route.table().orElse(RtnetlinkConstants.RT_TABLE_MAIN),
            route.scope().orElse(defaultScope),
            route.mtu(),
            route.advertisedMss());
  }

  /** SPEC section 5: a route without next hop may go by the gateway of an address. */
  private static Optional<InetAddress> defaultNextHop(
      Result.Route route, List<Result.IpConfig> ips) {
    return ips.stream()
        .flatMap(ip -> ip.gateway().stream())
        .filter(gateway -> InetAddresses.isV4(gateway) == route.destination().isV4())
        .findFirst();
  }

  private boolean hasCarrier() throws IOException {
    Link.OperState state = sandbox.rtnetlink().links(name).getFirst().operState();
    return state == Link.OperState.UP || state == Link.OperState.UNKNOWN;
  }

  /** Waits until no IPv6 address is tentative any more: before, it cannot be a source. */
  private void awaitDad(int link, Deadline deadline) throws CniException, IOException {
    var patience = new Backoff(DAD_TIMEOUT);
    while (true) {
      boolean tentative = false;
      for (InterfaceAddress address : sandbox.rtnetlink().addresses(link)) {
        if (address.isDuplicate()) {
          throw new CniException(
              ErrorCode.TRY_AGAIN_LATER,
              "address "
                  + InetAddresses.format(address.address())
                  + " of interface "
                  + name
                  + " is in use by another host on this network (duplicate address detection)");
        }
        tentative |= address.isTentative();
      }
      if (!tentative) {
        return;
      }
      if (!patience.pause("waiting for duplicate address detection", deadline)) {
        if (!hasCarrier()) {
          return; // nobody can be asked; detection begins when somebody is there
        }
        throw new CniException(
            ErrorCode.TRY_AGAIN_LATER,
            "interface " + name + " still has tentative addresses after " + DAD_TIMEOUT);
      }
    }
  }
}
