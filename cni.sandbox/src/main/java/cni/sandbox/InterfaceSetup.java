package cni.sandbox;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.Ip;
import cni.api.Result;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkAnswer;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkMessage;
import cni.netlink.ffm.Sysctl;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RtNetlink;
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
public final class InterfaceSetup {
  /** As long as the reference plugins wait for duplicate address detection. */
  private static final Duration DAD_PATIENCE = Duration.ofSeconds(5);

  private final Namespace sandbox;
  private final String name;
  private final boolean dad;

  private InterfaceSetup(Namespace sandbox, String name, boolean dad) {
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
  public static InterfaceSetup begin(Namespace sandbox, String name, boolean dad) {
    var setup = new InterfaceSetup(sandbox, name, dad);
    sandbox.enter(setup::setParameters);
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
      int link, Result result, int index, List<NetlinkMessage> onceUp, Deadline deadline)
      throws CniException {
    List<Result.IpConfig> ips = result.ipsOf(index);
    boolean v6 = ips.stream().anyMatch(ip -> !ip.address().isV4());
    try {
      sandbox.awaitEntry();
      if (v6) {
        sandbox.withSysctl(this::setParametersOfV6);
      }
      List<NetlinkMessage> requests = new ArrayList<>();
      requests.add(LinkRequests.announceAddresses(link));
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
        awaitUsable(link, deadline);
      }
      requests.addAll(onceUp);
      for (Result.Route route : result.routes()) {
        requests.add(route(link, route, ips).addRequest());
      }
      execute(requests, onceUp);
      if (v6 && !usableFirst) {
        awaitUsable(link, deadline);
      }
    } catch (IOException e) {
      throw Namespace.failure("setting up interface " + name, e);
    }
  }

  private void execute(List<NetlinkMessage> requests, List<NetlinkMessage> lenient)
      throws IOException {
    List<NetlinkAnswer> answers = sandbox.routing().exchange(requests);
    for (int i = 0; i < answers.size(); i++) {
      Optional<NetlinkException> error = answers.get(i).error();
      if (error.isPresent()
          && !(lenient.contains(requests.get(i))
              && (error.get().is(Errno.EEXIST) || error.get().is(Errno.ESRCH)))) {
        throw error.get();
      }
    }
  }

  private void setParameters(Sysctl sysctl) throws IOException {
    setIfPresent(sysctl, "net/ipv6/conf/" + name + "/accept_dad", dad ? "1" : "0");
    if (dad) {
      setIfPresent(sysctl, "net/ipv6/conf/" + name + "/enhanced_dad", "1");
    }
  }

  private void setParametersOfV6(Sysctl sysctl) throws IOException {
    sysctl.ensure("net/ipv6/conf/lo/disable_ipv6", "0");
    sysctl.ensure("net/ipv6/conf/" + name + "/disable_ipv6", "0");
    sysctl.overwrite("net/ipv6/conf/" + name + "/keep_addr_on_down", "1");
    setIfPresent(sysctl, "net/ipv6/conf/" + name + "/ndisc_notify", "1");
  }

  /** For parameters that a kernel without IPv6, or an older one, does not have. */
  private static void setIfPresent(Sysctl sysctl, String key, String value) throws IOException {
    try {
      sysctl.overwrite(key, value);
    } catch (NoSuchFileException e) {
      return;
    }
  }

  private static Route route(int link, Result.Route route, List<Result.IpConfig> ips) {
    boolean onLink =
        route.scope().equals(OptionalInt.of(RtNetlink.RT_SCOPE_LINK))
            || route.gateway().filter(InetAddress::isAnyLocalAddress).isPresent();
    Optional<InetAddress> gateway =
        onLink ? Optional.empty() : route.gateway().or(() -> gatewayFor(route, ips));
    int defaultScope = gateway.isPresent() ? RtNetlink.RT_SCOPE_UNIVERSE : RtNetlink.RT_SCOPE_LINK;
    return Route.unicast(
            route.destination().network().address(),
            route.destination().prefix(),
            new Route.Hop(link, gateway))
        .with(
            (int) route.priority(), // both are numbers of 32 bits without sign
            (int) route.table().orElse(RtNetlink.RT_TABLE_MAIN),
            route.scope().orElse(defaultScope),
            route.mtu(),
            route.advertisedMss());
  }

  /** SPEC section 5: a route without next hop may go by the gateway of an address. */
  private static Optional<InetAddress> gatewayFor(Result.Route route, List<Result.IpConfig> ips) {
    return ips.stream()
        .flatMap(ip -> ip.gateway().stream())
        .filter(gateway -> Ip.isV4(gateway) == route.destination().isV4())
        .findFirst();
  }

  private boolean hasCarrier() throws IOException {
    Link.OperState state = sandbox.routing().links(name).getFirst().operState();
    return state == Link.OperState.UP || state == Link.OperState.UNKNOWN;
  }

  /** Waits until no IPv6 address is tentative any more: before, it cannot be a source. */
  private void awaitUsable(int link, Deadline deadline) throws CniException, IOException {
    var patience = new Backoff(DAD_PATIENCE);
    while (true) {
      boolean tentative = false;
      for (InterfaceAddress address : sandbox.routing().addresses(link)) {
        if (address.isDuplicate()) {
          throw new CniException(
              ErrorCode.TRY_AGAIN_LATER,
              "address "
                  + Ip.format(address.address())
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
            "interface " + name + " still has tentative addresses after " + DAD_PATIENCE);
      }
    }
  }
}
