package cni.api;

import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * What an ADD brought about (SPEC section 5, "ADD Success"). A result has no version of its own:
 * {@link ResultJson} writes and reads it in any version of the specification.
 *
 * @param interfaces every interface that the attachment made, those on the host included
 * @param ips the addresses
 * @param routes the routes
 * @param dns resolver settings
 */
public record Result(List<Interface> interfaces, List<IpConfig> ips, List<Route> routes, Dns dns) {
  /** Nothing was made. */
  public static final Result EMPTY = new Result(List.of(), List.of(), List.of(), Dns.NONE);

  /** Takes copies of the lists. */
  public Result {
    interfaces = List.copyOf(interfaces);
    ips = List.copyOf(ips);
    routes = List.copyOf(routes);
  }

  /** The same with these interfaces. */
  public Result withInterfaces(List<Interface> newInterfaces) {
    return new Result(newInterfaces, ips, routes, dns);
  }

  /** The same with these addresses. */
  public Result withIps(List<IpConfig> newIps) {
    return new Result(interfaces, newIps, routes, dns);
  }

  /** The same with these routes. */
  public Result withRoutes(List<Route> newRoutes) {
    return new Result(interfaces, ips, newRoutes, dns);
  }

  /** The same with these resolver settings, if there are any. */
  public Result withDns(Dns newDns) {
    return newDns.isEmpty() ? this : new Result(interfaces, ips, routes, newDns);
  }

  /**
   * The same with what another has besides: its addresses point to its interfaces in the new place,
   * and its resolver settings count if it has any.
   */
  public Result merge(Result more) {
    List<Interface> allInterfaces = new ArrayList<>(interfaces);
    allInterfaces.addAll(more.interfaces);
    List<IpConfig> allIps = new ArrayList<>(ips);
    for (IpConfig ip : more.ips) {
      OptionalInt index = ip.interfaceIndex();
      allIps.add(index.isEmpty() ? ip : ip.withInterface(interfaces.size() + index.getAsInt()));
    }
    List<Route> allRoutes = new ArrayList<>(routes);
    allRoutes.addAll(more.routes);
    return new Result(allInterfaces, allIps, allRoutes, dns).withDns(more.dns);
  }

  /** Where the interface with that name and sandbox stands in {@link #interfaces}. */
  public OptionalInt indexOf(String name, String sandbox) {
    for (int i = 0; i < interfaces.size(); i++) {
      if (interfaces.get(i).name().equals(name) && interfaces.get(i).sandbox().equals(sandbox)) {
        return OptionalInt.of(i);
      }
    }
    return OptionalInt.empty();
  }

  /** The interface with that name and sandbox. */
  public Optional<Interface> find(String name, String sandbox) {
    OptionalInt index = indexOf(name, sandbox);
    return index.isEmpty() ? Optional.empty() : Optional.of(interfaces.get(index.getAsInt()));
  }

  /** The addresses that belong to the interface at that index. */
  public List<IpConfig> ipsOf(int interfaceIndex) {
    List<IpConfig> own = new ArrayList<>();
    for (IpConfig ip : ips) {
      if (ip.interfaceIndex().equals(OptionalInt.of(interfaceIndex))) {
        own.add(ip);
      }
    }
    return own;
  }

  /**
   * An interface. Texts that do not apply are empty.
   *
   * @param name its name
   * @param mac its hardware address, lower case with colons
   * @param mtu in bytes, 0 if not known
   * @param sandbox the path of the namespace that it is in, empty if it is on the host
   * @param socketPath an absolute path of the socket that stands for it
   * @param pciId the PCI device that stands for it
   */
  public record Interface(
      String name, String mac, int mtu, String sandbox, String socketPath, String pciId) {
    /** An interface of the kernel. */
    public Interface(String name, String mac, int mtu, String sandbox) {
      this(name, mac, mtu, sandbox, "", "");
    }

    /** Whether it is outside any sandbox. */
    public boolean isOnHost() {
      return sandbox.isEmpty();
    }
  }

  /**
   * An address.
   *
   * @param address with the prefix of its network
   * @param gateway the way out of that network
   * @param interfaceIndex where its interface stands in {@link Result#interfaces}; a delegate that
   *     only assigns addresses leaves it out
   */
  public record IpConfig(Cidr address, Optional<InetAddress> gateway, OptionalInt interfaceIndex) {
    /** The same on that interface. */
    public IpConfig withInterface(int index) {
      return new IpConfig(address, gateway, OptionalInt.of(index));
    }

    /** The same with that gateway. */
    public IpConfig withGateway(InetAddress newGateway) {
      return new IpConfig(address, Optional.of(newGateway), interfaceIndex);
    }
  }

  /**
   * A route.
   *
   * @param destination the network that it leads to
   * @param gateway the next hop; if absent, the gateway of an address of the same family may be
   *     used
   * @param mtu of the path, in bytes, 0 for none
   * @param advertisedMss in bytes, 0 for none
   * @param priority the metric, lower wins, 0 for the kernel's default
   * @param table the routing table, absent for the main one
   * @param scope as rtnetlink(7): 0 universe, 253 link, 254 host
   */
  public record Route(
      Cidr destination,
      Optional<InetAddress> gateway,
      int mtu,
      int advertisedMss,
      long priority,
      OptionalLong table,
      OptionalInt scope) {
    /** A plain route. */
    public Route(Cidr destination, Optional<InetAddress> gateway) {
      this(destination, gateway, 0, 0, 0, OptionalLong.empty(), OptionalInt.empty());
    }

    /**
     * Reads a route as results and ipam sections list them.
     *
     * @throws CniException code 7 if a value is wrong
     */
    public static Route parse(ConfigObject route) throws CniException {
      return new Route(
          route
              .parsed("dst", Cidr::parse)
              .orElseThrow(
                  () -> route.invalid("dst", "is missing: give the destination as a network")),
          route.parsed("gw", InetAddresses::parse),
          route.integer("mtu", 0, Integer.MAX_VALUE).orElse(0),
          route.integer("advmss", 0, Integer.MAX_VALUE).orElse(0),
          route.uint32("priority").orElse(0),
          route.uint32("table"),
          route.integer("scope", 0, 255));
    }
  }
}
