// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static java.nio.charset.StandardCharsets.UTF_8;

import cni.api.CniException;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.nftables.ConntrackSocket;
import cni.netlink.ffm.nftables.InstalledChain;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.NftablesSocket;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TrackedConnection;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Neighbour;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The state of the kernel in the host's network namespace. Each part is listed once, when it is
 * first needed.
 */
final class HostKernel implements AutoCloseable {
  /** The host's namespace; absent for that of this process, which takes no privileges to use. */
  private final Optional<NetNs> namespace;

  /** What the kernel answers for an address that it does not send to; EINVAL is a blackhole. */
  private static final Set<Integer> NO_ROUTE =
      Set.of(Errno.ENETUNREACH, Errno.EHOSTUNREACH, Errno.EACCES, Errno.EINVAL);

  private final Path proc;
  private Optional<RouteSocket> routing = Optional.empty();
  private final Lazy<List<Link>> links;
  private final Lazy<List<InterfaceAddress>> addresses;
  private final Lazy<List<Route>> routes;
  private final Lazy<List<Neighbour>> neighbours;
  private final Lazy<List<InstalledChain>> baseChains;
  private final Lazy<List<Table>> tables;
  private final Lazy<List<TrackedConnection>> connections;
  private final Map<Table, List<InstalledRule>> rules = new HashMap<>();

  private HostKernel(Optional<NetNs> namespace, Path proc) {
    this.namespace = namespace;
    this.proc = proc;
    this.links = new Lazy<>(() -> routing().links());
    this.addresses = new Lazy<>(() -> routing().addresses());
    this.routes = new Lazy<>(() -> ofBothFamilies(it -> routing().routes(it)));
    this.neighbours = new Lazy<>(() -> ofBothFamilies(it -> routing().neighbours(it)));
    this.baseChains = new Lazy<>(() -> nftables(NftablesSocket::baseChains));
    this.tables = new Lazy<>(() -> nftables(NftablesSocket::tables));
    this.connections = new Lazy<>(this::listConnections);
  }

  /**
   * Opens the namespace of the host side. Entering it may still fail, for lack of privileges.
   *
   * @throws IOException if there is no namespace at the path
   */
  static HostKernel open(HostLocations locations) throws IOException {
    Optional<Path> path = locations.hostNamespace();
    return new HostKernel(
        path.isPresent() ? Optional.of(NetNs.open(path.get())) : Optional.empty(),
        locations.proc());
  }

  private <T> T inside(NetNs.Task<T, IOException> task) throws IOException {
    return namespace.isPresent() ? namespace.get().call(task) : task.run();
  }

  private RouteSocket routing() throws IOException {
    if (routing.isEmpty()) {
      routing = Optional.of(inside(RouteSocket::open));
    }
    return routing.get();
  }

  /** Lists something for a family. */
  private interface FamilyListing<T> {
    List<T> list(IpFamily family) throws IOException;
  }

  private static <T> List<T> ofBothFamilies(FamilyListing<T> listing) throws IOException {
    List<T> all = new ArrayList<>();
    for (IpFamily family : IpFamily.values()) {
      all.addAll(listing.list(family));
    }
    return all;
  }

  /** Asks nf_tables for something. */
  private interface NftablesListing<T> {
    T list(NftablesSocket socket) throws IOException;
  }

  private <T> T nftables(NftablesListing<T> listing) throws IOException {
    try (NftablesSocket socket = inside(NftablesSocket::open)) {
      return listing.list(socket);
    }
  }

  private List<TrackedConnection> listConnections() throws IOException {
    try (ConntrackSocket socket = inside(ConntrackSocket::open)) {
      return socket.connections();
    }
  }

  List<Link> links() throws IOException, CniException {
    return links.get();
  }

  /** Returns the link with an index; absent if there is none. */
  Optional<Link> link(int index) throws IOException, CniException {
    return links().stream().filter(it -> it.index() == index).findFirst();
  }

  /** Returns the link with a name; absent if there is none. */
  Optional<Link> link(String name) throws IOException, CniException {
    return links().stream().filter(it -> it.name().equals(name)).findFirst();
  }

  List<InterfaceAddress> addresses() throws IOException, CniException {
    return addresses.get();
  }

  /** Returns the routes of both families, in all tables. */
  List<Route> routes() throws IOException, CniException {
    return routes.get();
  }

  List<Neighbour> neighbours() throws IOException, CniException {
    return neighbours.get();
  }

  /** Returns the index of the link that packets to an address leave by; absent without route. */
  Optional<Integer> linkTo(InetAddress destination) throws IOException {
    try {
      return Optional.of(routing().routeTo(destination).hops().getFirst().link());
    } catch (NetlinkException e) {
      if (NO_ROUTE.contains(e.errno())) {
        return Optional.empty();
      }
      throw e;
    }
  }

  boolean isForwarding(IpFamily family) throws IOException {
    return routing().isForwarding(family);
  }

  boolean isRouteLocalnetOn(Link link) throws IOException {
    return routing().linkSettings(link.index()).routeLocalnet()
        || sysctl("net/ipv4/conf/all/route_localnet").filter("1"::equals).isPresent();
  }

  /**
   * Returns why nf_tables cannot be used; absent if it can.
   *
   * @throws NetlinkException EPERM without the privilege to ask
   */
  Optional<String> nftablesObjection() throws IOException {
    Optional<String> objection = nftables(NftablesSocket::unavailabilityReason);
    if (objection.isPresent()) {
      requirePermission();
    }
    return objection;
  }

  private void requirePermission() throws IOException {
    try {
      nftables(NftablesSocket::tables);
    } catch (NetlinkException e) {
      if (e.is(Errno.EPERM)) {
        throw e;
      }
    }
  }

  List<InstalledChain> baseChains() throws IOException, CniException {
    return baseChains.get();
  }

  List<Table> tables() throws IOException, CniException {
    return tables.get();
  }

  List<InstalledRule> rules(Table table) throws IOException {
    List<InstalledRule> known = rules.get(table);
    if (known == null) {
      known = nftables(socket -> socket.rules(table));
      rules.put(table, known);
    }
    return known;
  }

  List<TrackedConnection> connections() throws IOException, CniException {
    return connections.get();
  }

  /**
   * Returns a kernel parameter; absent if there is none of this name.
   *
   * @param key the path below /proc/sys
   */
  Optional<String> sysctl(String key) throws IOException {
    var parameters = new Sysctl(proc.resolve("sys"));
    return ifPresent(() -> parameters.get(key));
  }

  /** Returns a kernel parameter that is a number; absent if there is none of this name. */
  Optional<Long> number(String key) throws IOException {
    return sysctl(key).map(Long::parseLong);
  }

  /** Returns the content of a file below /proc/net; absent if there is none of this name. */
  Optional<String> procNet(String name) throws IOException {
    Path file = proc.resolve("thread-self/net").resolve(name);
    return ifPresent(() -> new String(Files.readAllBytes(file), UTF_8));
  }

  private Optional<String> ifPresent(NetNs.Task<String, IOException> reader) throws IOException {
    try {
      return Optional.of(inside(reader));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  @Override
  public void close() {
    routing.ifPresent(RouteSocket::close);
    namespace.ifPresent(NetNs::close);
  }
}
