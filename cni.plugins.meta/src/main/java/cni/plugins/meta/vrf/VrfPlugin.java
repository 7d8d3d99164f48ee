// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.vrf;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.Names;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.SpecVersion;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkSpec;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.plugins.meta.PreviousResult;
import cni.plugins.meta.vrf.VrfComparison.Addressed;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The vrf plugin: moves the container's interface into a VRF, a device that has its own routing
 * table. The VRF is created in the container if it does not exist, and deleted with the last of its
 * interfaces.
 */
public final class VrfPlugin implements UpdatablePlugin {
  static final String KIND = "vrf";

  /** Creates the plugin; called by the ServiceLoader. */
  public VrfPlugin() {}

  /**
   * The configuration.
   *
   * @param name the name of the VRF ({@code vrfname})
   * @param table its routing table; 0 for the lowest that no other VRF has
   */
  record Config(String name, int table) {
    static Config parse(PluginConfig config) throws CniException {
      ConfigObject view = config.view();
      int table = (int) view.uint32("table").orElse(0);
      String name = view.text("vrfname").orElse("");
      if (!Names.isInterfaceName(name)) {
        throw view.invalid(
            "vrfname",
            name.isEmpty() ? "is missing: name the VRF" : Names.INTERFACE_NAME_RULES.strip());
      }
      return new Config(name, table);
    }
  }

  @Override
  public String type() {
    return "vrf";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.CHAINED);
  }

  /** {@inheritDoc} 0.3.1 and later, as the reference plugin. */
  @Override
  public Set<SpecVersion> versions() {
    return SpecVersion.since(SpecVersion.V0_3_1);
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    Config config = Config.parse(request.config());
    Result previous = PreviousResult.require(request);
    var rollback = new Rollback();
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      return rollback.guard(
          "joining VRF " + config.name(),
          () -> {
            Link vrf = ensureVrf(container.rtnetlink(), config, rollback);
            enslave(
                container.rtnetlink(),
                AttachmentCheck.requireInterface(request, container),
                vrf,
                rollback);
            return previous;
          });
    }
  }

  private static Link ensureVrf(RouteSocket routing, Config config, Rollback rollback)
      throws CniException, IOException {
    Optional<Link> existing = routing.link(config.name());
    if (existing.isEmpty()) {
      createVrf(routing, config, rollback);
      return routing.links(config.name()).getFirst();
    }
    AttachmentCheck.requireKind(existing.get(), KIND, "the container");
    if (config.table() != 0 && tableOf(existing.get()) != config.table()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "VRF %s exists with routing table %s, the configuration has table %s"
              .formatted(
                  config.name(),
                  Integer.toUnsignedString(tableOf(existing.get())),
                  Integer.toUnsignedString(config.table())));
    }
    return existing.get();
  }

  private static void createVrf(RouteSocket routing, Config config, Rollback rollback)
      throws CniException, IOException {
    create(routing, config.name(), config.table() == 0 ? freeTable(routing) : config.table());
    rollback.add(() -> routing.execute(LinkRequests.delete(config.name())));
  }

  /**
   * Creates a VRF and sets it up.
   *
   * @throws CniException code 50 if the kernel lacks them
   */
  static void create(RouteSocket routing, String name, int table) throws CniException, IOException {
    try {
      routing.execute(LinkSpec.vrf(name, table).up().request());
    } catch (NetlinkException e) {
      if (e.is(Errno.EOPNOTSUPP)) {
        throw new CniException(
            ErrorCode.NOT_AVAILABLE,
            "the kernel lacks vrf devices (CONFIG_NET_VRF): " + e.getMessage(),
            e);
      }
      throw e;
    }
  }

  static int freeTable(RouteSocket routing) throws IOException {
    Set<Integer> taken =
        routing.links().stream()
            .filter(link -> link.isKind(KIND))
            .map(VrfPlugin::tableOf)
            .collect(Collectors.toUnmodifiableSet());
    int table = 1;
    while (taken.contains(table)) {
      table++;
    }
    return table;
  }

  /**
   * Sets the interface's master and restores what the kernel removes with that: its IPv6 addresses
   * and its routes, which go to the VRF's table.
   */
  private static void enslave(RouteSocket routing, Link link, Link vrf, Rollback rollback)
      throws CniException, IOException {
    if (link.master() != 0 && link.master() != vrf.index()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "interface %s already has master interface %d and cannot join VRF %s"
              .formatted(link.name(), link.master(), vrf.name()));
    }
    if (link.master() == vrf.index()) {
      return;
    }
    rollback.add(() -> routing.execute(LinkRequests.setMaster(link.index(), 0)));
    join(routing, link, vrf.index(), tableOf(vrf));
  }

  /**
   * Sets the interface's master and restores its addresses, and in a table its routes.
   *
   * @param master the index of the VRF; 0 to leave it
   */
  static void join(RouteSocket routing, Link link, int master, int table) throws IOException {
    List<InterfaceAddress> before = routing.addresses(link.index());
    List<Route> routes = new ArrayList<>();
    for (IpFamily family : IpFamily.values()) {
      routing.routes(family).stream()
          .filter(route -> isMoved(route, master, table))
          .flatMap(route -> route.partsThrough(link.index()).stream())
          .filter(route -> route.protocol() != RtnetlinkConstants.RTPROT_KERNEL)
          .forEach(routes::add);
    }
    routing.execute(LinkRequests.setMaster(link.index(), master));
    List<InterfaceAddress> after = routing.addresses(link.index());
    List<NetlinkRequest> requests = new ArrayList<>();
    for (InterfaceAddress address : before) {
      boolean lost = after.stream().noneMatch(it -> it.address().equals(address.address()));
      if (lost && !address.address().isLinkLocalAddress()) {
        requests.add(
            new InterfaceAddress(
                    link.index(),
                    address.address(),
                    address.prefix(),
                    RtnetlinkConstants.IFA_F_NODAD)
                .addRequest());
      }
    }
    routes.forEach(route -> requests.add(route.inTable(table).replaceRequest()));
    routing.execute(requests);
  }

  private static boolean isMoved(Route route, int master, int table) {
    return master == 0 ? route.table() != table : route.table() == RtnetlinkConstants.RT_TABLE_MAIN;
  }

  /** {@inheritDoc} None: joining another VRF sets the interface down and up. */
  @Override
  public Set<String> changeableKeys() {
    return Set.of();
  }

  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    Config config = Config.parse(request.desired().config());
    Result previous = request.desired().requirePrevResult();
    NetNsSession host = differences.keep(NetNsSession.openHost(request.desired().context()));
    NetNsSession container = differences.keep(NetNsSession.openContainer(request.desired(), host));
    try {
      Optional<Link> link =
          AttachmentCheck.findInterface(request.desired(), container, differences);
      if (link.isPresent()) {
        new VrfComparison(container.rtnetlink(), config, link.get(), differences)
            .compare(Addressed.of(request.current()), Addressed.of(request.desired()));
      }
      return previous;
    } catch (IOException e) {
      throw NetNsSession.failure("checking VRF " + config.name(), e);
    }
  }

  /** {@inheritDoc} Does nothing without a valid {@code vrfname}: ADD cannot have succeeded. */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    Optional<String> name = request.config().view().text("vrfname").filter(Names::isInterfaceName);
    if (name.isEmpty()) {
      return;
    }
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      NetNsSession.runIfPresent(
          request,
          host,
          container -> leaveVrf(container, request.attachment().interfaceName(), name.get()));
    } catch (IOException e) {
      throw NetNsSession.failure("leaving VRF " + name.get(), e);
    }
  }

  /** Removes the interface from the VRF, and deletes the VRF if it has no other. */
  private static void leaveVrf(NetNsSession container, String name, String vrfName)
      throws IOException {
    RouteSocket routing = container.rtnetlink();
    Optional<Link> vrf = routing.link(vrfName).filter(link -> link.isKind(KIND));
    if (vrf.isEmpty()) {
      return;
    }
    Optional<Link> link = routing.link(name);
    if (link.filter(it -> it.master() == vrf.get().index()).isPresent()) {
      routing.execute(LinkRequests.setMaster(link.get().index(), 0));
    }
    if (routing.links().stream().noneMatch(it -> it.master() == vrf.get().index())) {
      container.deleteLink(vrf.get().index());
    }
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    Config.parse(request.config());
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    Config.parse(request.config());
  }

  static int tableOf(Link link) {
    return link.kindData() instanceof Link.Vrf(int table) ? table : 0;
  }
}
