// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import cni.api.internal.NullChecks;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.function.Predicate;

/**
 * The result of an ADD (SPEC section 5, "ADD Success"). A result is independent of versions: {@link
 * ResultJson} reads and writes it in any version of the specification.
 *
 * @param interfaces every interface created by the attachment, on the host as well
 * @param ips the addresses assigned
 * @param routes the routes created
 * @param dns the resolver settings
 */
public record Result(List<Interface> interfaces, List<IpConfig> ips, List<Route> routes, Dns dns) {
  /** The result without any contents. */
  public static final Result EMPTY = new Result(List.of(), List.of(), List.of(), Dns.NONE);

  /** Copies the lists. */
  public Result {
    requireNonNull(dns, "dns");
    interfaces = NullChecks.copyOf(interfaces, "interfaces");
    ips = NullChecks.copyOf(ips, "ips");
    routes = NullChecks.copyOf(routes, "routes");
  }

  /** Returns a copy with the given interfaces. */
  public Result withInterfaces(List<Interface> newInterfaces) {
    NullChecks.requireElements(newInterfaces, "newInterfaces");
    return new Result(newInterfaces, ips, routes, dns);
  }

  /**
   * Returns a copy without some of the interfaces, which have no addresses; addresses keep their
   * interfaces.
   */
  public Result withoutInterfaces(Predicate<Interface> removed) {
    requireNonNull(removed, "removed");
    List<Interface> kept = new ArrayList<>();
    Map<Integer, Integer> newIndexes = new HashMap<>();
    for (int i = 0; i < interfaces.size(); i++) {
      if (!removed.test(interfaces.get(i))) {
        newIndexes.put(i, kept.size());
        kept.add(interfaces.get(i));
      }
    }
    List<IpConfig> moved = new ArrayList<>();
    for (IpConfig ip : ips) {
      Integer index = newIndexes.get(ip.interfaceIndex().orElse(-1));
      moved.add(index == null ? ip : ip.withInterface(index));
    }
    return new Result(kept, moved, routes, dns);
  }

  /** Returns a copy with the given addresses. */
  public Result withIps(List<IpConfig> newIps) {
    NullChecks.requireElements(newIps, "newIps");
    return new Result(interfaces, newIps, routes, dns);
  }

  /** Returns a copy with the given routes. */
  public Result withRoutes(List<Route> newRoutes) {
    NullChecks.requireElements(newRoutes, "newRoutes");
    return new Result(interfaces, ips, newRoutes, dns);
  }

  /** Returns a copy with the given resolver settings, or this if those are empty. */
  public Result withDns(Dns newDns) {
    requireNonNull(newDns, "newDns");
    return newDns.isEmpty() ? this : new Result(interfaces, ips, routes, newDns);
  }

  /**
   * Returns a result with the contents of both. Interface indices of the other's addresses are
   * shifted accordingly, and its resolver settings replace this one's unless they are empty.
   */
  public Result merge(Result more) {
    requireNonNull(more, "more");
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

  /** Returns the index in {@link #interfaces} of the interface with that name and sandbox. */
  public OptionalInt indexOf(String name, String sandbox) {
    requireNonNull(name, "name");
    requireNonNull(sandbox, "sandbox");
    for (int i = 0; i < interfaces.size(); i++) {
      if (interfaces.get(i).name().equals(name) && interfaces.get(i).sandbox().equals(sandbox)) {
        return OptionalInt.of(i);
      }
    }
    return OptionalInt.empty();
  }

  /** Returns the interface with that name and sandbox. */
  public Optional<Interface> find(String name, String sandbox) {
    requireNonNull(name, "name");
    requireNonNull(sandbox, "sandbox");
    OptionalInt index = indexOf(name, sandbox);
    return index.isEmpty() ? Optional.empty() : Optional.of(interfaces.get(index.getAsInt()));
  }

  /** Returns the addresses that refer to the interface at that index. */
  public List<IpConfig> ipsOf(int interfaceIndex) {
    List<IpConfig> matching = new ArrayList<>();
    for (IpConfig ip : ips) {
      if (ip.interfaceIndex().equals(OptionalInt.of(interfaceIndex))) {
        matching.add(ip);
      }
    }
    return matching;
  }

  /**
   * An interface. Strings that do not apply are empty.
   *
   * @param name the interface's name
   * @param mac the hardware address, in lower case with colons
   * @param mtu the MTU in bytes, 0 if not known
   * @param sandbox the path of the interface's namespace; empty for an interface on the host
   * @param socketPath the absolute path of a socket file, for an interface in user space
   * @param pciId the address of a PCI device, for an interface without kernel driver
   */
  public record Interface(
      String name, String mac, int mtu, String sandbox, String socketPath, String pciId) {
    /** Checks that no argument is null. */
    public Interface {
      requireNonNull(name, "name");
      requireNonNull(mac, "mac");
      requireNonNull(sandbox, "sandbox");
      requireNonNull(socketPath, "socketPath");
      requireNonNull(pciId, "pciId");
    }

    /** Creates a kernel interface, without socket path and PCI device. */
    public Interface(String name, String mac, int mtu, String sandbox) {
      this(name, mac, mtu, sandbox, "", "");
    }

    /** Returns whether the interface is on the host, outside any sandbox. */
    public boolean isOnHost() {
      return sandbox.isEmpty();
    }
  }

  /**
   * An address.
   *
   * @param address the address with the prefix length of its network
   * @param gateway the default gateway of that network, if any
   * @param interfaceIndex the index of the address's interface in {@link Result#interfaces}; absent
   *     in results of IPAM plugins
   */
  public record IpConfig(Cidr address, Optional<InetAddress> gateway, OptionalInt interfaceIndex) {
    /** Checks that no argument is null. */
    public IpConfig {
      requireNonNull(address, "address");
      requireNonNull(gateway, "gateway");
      requireNonNull(interfaceIndex, "interfaceIndex");
    }

    /** Returns a copy that refers to the interface at that index. */
    public IpConfig withInterface(int index) {
      return new IpConfig(address, gateway, OptionalInt.of(index));
    }

    /** Returns a copy with the given gateway. */
    public IpConfig withGateway(InetAddress newGateway) {
      requireNonNull(newGateway, "newGateway");
      return new IpConfig(address, Optional.of(newGateway), interfaceIndex);
    }
  }

  /**
   * A route.
   *
   * @param destination the destination network
   * @param gateway the next hop; if absent, plugins may use the gateway of an address of the same
   *     family
   * @param mtu the path MTU in bytes, 0 for none
   * @param advertisedMss the MSS to advertise in bytes, 0 for none
   * @param priority the metric; lower values are preferred, 0 is the kernel's default
   * @param table the routing table; absent for the main table
   * @param scope the scope of rtnetlink(7): 0 universe, 253 link, 254 host
   */
  public record Route(
      Cidr destination,
      Optional<InetAddress> gateway,
      int mtu,
      int advertisedMss,
      long priority,
      OptionalLong table,
      OptionalInt scope) {
    /** Checks that no argument is null. */
    public Route {
      requireNonNull(destination, "destination");
      requireNonNull(gateway, "gateway");
      requireNonNull(table, "table");
      requireNonNull(scope, "scope");
    }

    /** Creates a route with default attributes. */
    public Route(Cidr destination, Optional<InetAddress> gateway) {
      this(destination, gateway, 0, 0, 0, OptionalLong.empty(), OptionalInt.empty());
    }

    /**
     * Parses a route of a result or of an {@code ipam} section.
     *
     * @throws CniException code 7 if a value is invalid
     */
    public static Route parse(ConfigObject route) throws CniException {
      requireNonNull(route, "route");
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
