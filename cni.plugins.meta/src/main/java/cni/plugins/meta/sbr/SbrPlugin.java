package cni.plugins.meta.sbr;

import static java.util.Comparator.comparing;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.PolicyRule;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.plugins.meta.PreviousResult;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * The sbr plugin, source-based routing: packets from the interface's addresses leave by the
 * interface, whatever other networks the container is attached to. Each address gets a policy rule
 * for a table with the interface's routes.
 */
public final class SbrPlugin implements NetworkPlugin {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.meta");

  private static final int FIRST_TABLE = 100;

  /** Creates the plugin; called by the ServiceLoader. */
  public SbrPlugin() {}

  @Override
  public String type() {
    return "sbr";
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    SbrConfig config = SbrConfig.parse(request.config());
    Result previous = PreviousResult.require(request);
    List<Result.IpConfig> ips = addresses(request, previous);
    var rollback = new Rollback();
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      return rollback.guard(
          "setting up source-based routing for " + request.attachment().interfaceName(),
          () -> {
            RouteSocket routing = container.rtnetlink();
            if (config.table().isPresent()) {
              for (Result.IpConfig ip : ips) {
                addRule(routing, ip.address(), config.table().getAsInt(), rollback);
              }
            } else {
              Link link = AttachmentCheck.requireInterface(request, container);
              moveRoutes(routing, link, ips, config, rollback);
            }
            return previous;
          });
    }
  }

  private static List<Result.IpConfig> addresses(AttachmentRequest request, Result previous)
      throws CniException {
    List<Result.IpConfig> ips = PreviousResult.containerIps(request, previous);
    if (ips.isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "prevResult has no addresses: sbr must follow a plugin that gives "
              + request.attachment().interfaceName()
              + " some");
    }
    return ips;
  }

  private static void addRule(RouteSocket routing, Cidr address, int table, Rollback rollback)
      throws IOException {
    PolicyRule rule = PolicyRule.fromSource(address.address(), table);
    // EEXIST: an interrupted ADD left the rule
    if (routing.executeIgnoring(rule.addRequest(), Errno.EEXIST)) {
      rollback.add(() -> routing.execute(rule.deleteRequest()));
    }
  }

  /** Moves the interface's routes from the main table to a new table for each address. */
  private static void moveRoutes(
      RouteSocket routing,
      Link link,
      List<Result.IpConfig> ips,
      SbrConfig config,
      Rollback rollback)
      throws IOException {
    List<Route> all = new ArrayList<>();
    Set<Integer> usedTables = new HashSet<>();
    for (IpFamily family : IpFamily.values()) {
      all.addAll(routing.routes(family));
      routing.policyRules(family).forEach(rule -> usedTables.add(rule.table()));
    }
    all.forEach(route -> usedTables.add(route.table()));
    List<Route> moved =
        all.stream()
            .filter(route -> route.table() == RtnetlinkConstants.RT_TABLE_MAIN)
            .flatMap(route -> route.partsThrough(link.index()).stream())
            .toList();
    int table = FIRST_TABLE;
    for (Result.IpConfig ip : ips) {
      while (!usedTables.add(table)) {
        table++;
      }
      addRule(routing, ip.address(), table, rollback);
      fillTable(routing, link, ip, config, moved, table, rollback);
    }
    if (config.addSourceHints()) {
      addSourceHints(routing, link, ips);
    }
    for (Route route : moved) {
      boolean stays = config.addSourceHints() && route.scope() == RtnetlinkConstants.RT_SCOPE_LINK;
      if (!stays) {
        routing.executeIgnoring(route.deleteRequest(), Errno.ESRCH);
        rollback.add(() -> routing.execute(route.replaceRequest()));
      }
    }
  }

  /** Failures are logged only: packets are routed without hints as well. */
  private static void addSourceHints(RouteSocket routing, Link link, List<Result.IpConfig> ips)
      throws IOException {
    for (Result.IpConfig ip : ips) {
      try {
        routing.execute(sourceHintRoute(link, ip.address()).replaceRequest());
      } catch (NetlinkException e) {
        LOG.get()
            .log(
                System.Logger.Level.WARNING,
                "no source hint for %s: %s".formatted(ip.address(), e.getMessage()));
      }
    }
  }

  /**
   * Adds to a table its default route and those of the interface's routes that concern the address.
   */
  private static void fillTable(
      RouteSocket routing,
      Link link,
      Result.IpConfig ip,
      SbrConfig config,
      List<Route> routes,
      int table,
      Rollback rollback)
      throws IOException {
    Cidr address = ip.address();
    Optional<InetAddress> gateway = config.gateway(address.isV4()).or(ip::gateway);
    List<Route> added = new ArrayList<>();
    if (gateway.isPresent()) {
      Cidr anywhere = Cidr.defaultRoute(gateway.get());
      var hop = new Route.Hop(link.index(), gateway);
      added.add(Route.unicast(anywhere.address(), 0, hop).inTable(table));
    }
    for (Route route : routes) {
      Optional<InetAddress> via = route.hops().getFirst().gateway();
      boolean isLinkRoute = via.isEmpty() && route.source().isEmpty();
      if (isLinkRoute
          || via.filter(address::contains).isPresent()
          || route.source().filter(address::contains).isPresent()) {
        added.add(route.inTable(table));
      }
    }
    for (Route route : added) {
      routing.execute(route.replaceRequest());
      rollback.add(() -> routing.executeIgnoring(route.deleteRequest(), Errno.ESRCH));
    }
  }

  /** Returns the link route to the address's network with the address as the preferred source. */
  private static Route sourceHintRoute(Link link, Cidr address) {
    Cidr net = address.network();
    return Route.unicast(net.address(), net.prefix(), new Route.Hop(link.index(), Optional.empty()))
        .withSource(address.address());
  }

  /** {@inheritDoc} The reference plugin's CHECK does nothing. */
  @Override
  public void check(AttachmentRequest request) throws CniException {
    SbrConfig config = SbrConfig.parse(request.config());
    List<Result.IpConfig> ips = addresses(request, request.requirePrevResult());
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      Link link = AttachmentCheck.requireInterface(request, container);
      for (Result.IpConfig ip : ips) {
        Optional<InetAddress> gateway = config.gateway(ip.address().isV4()).or(ip::gateway);
        check(container.rtnetlink(), link, ip.address(), gateway, config);
      }
    } catch (IOException e) {
      throw NetNsSession.failure("checking routes", e);
    }
  }

  private static void check(
      RouteSocket routing, Link link, Cidr address, Optional<InetAddress> gateway, SbrConfig config)
      throws CniException, IOException {
    IpFamily family = IpFamily.of(address.address());
    Optional<PolicyRule> rule =
        routing.policyRules(family).stream()
            .filter(it -> it.source().filter(address.address()::equals).isPresent())
            .filter(it -> it.sourcePrefix() == InetAddresses.bits(address.address()))
            .findFirst();
    if (rule.isEmpty()
        || (config.table().isPresent() && rule.get().table() != config.table().getAsInt())) {
      throw AttachmentCheck.mismatch(
          "no rule routes packets from %s by %s"
              .formatted(
                  InetAddresses.format(address.address()),
                  config.table().isPresent()
                      ? "table " + config.table().getAsInt()
                      : "a separate table"));
    }
    boolean routed =
        routing.routes(family).stream()
            .anyMatch(
                route ->
                    route.table() == rule.get().table()
                        && route.hops().getFirst().link() == link.index());
    boolean needsRoute = config.table().isEmpty() && gateway.isPresent();
    if (needsRoute && !routed) {
      throw AttachmentCheck.mismatch(
          "table %d, which routes packets from %s, has no route by %s"
              .formatted(rule.get().table(), InetAddresses.format(address.address()), link.name()));
    }
  }

  /** {@inheritDoc} Removes the rules and moves the interface's routes back to the main table. */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      NetNsSession.runIfPresent(
          request, host, container -> deleteRules(request, container.rtnetlink()));
    } catch (IOException e) {
      throw NetNsSession.failure("removing routing rules", e);
    }
  }

  private static void deleteRules(AttachmentRequest request, RouteSocket routing)
      throws CniException, IOException {
    OptionalInt table = SbrConfig.table(request.config().view());
    Set<InetAddress> sources = new HashSet<>();
    PreviousResult.containerIps(request, request.prevResult().orElse(Result.EMPTY))
        .forEach(ip -> sources.add(ip.address().address()));
    Optional<Link> link = routing.link(request.attachment().interfaceName());
    if (link.isPresent()) {
      for (InterfaceAddress address : routing.addresses(link.get().index())) {
        sources.add(address.address());
      }
    }
    Set<Integer> tables = new HashSet<>();
    for (IpFamily family : IpFamily.values()) {
      for (PolicyRule rule : routing.policyRules(family)) {
        boolean ours =
            rule.matchesSourceOnly() && rule.source().filter(sources::contains).isPresent();
        if (ours && (table.isEmpty() || table.getAsInt() == rule.table())) {
          tables.add(rule.table());
          routing.executeIgnoring(rule.deleteRequest(), Errno.ENOENT);
        }
      }
    }
    if (link.isPresent() && table.isEmpty()) {
      moveRoutesBack(routing, link.get(), tables, request.prevResult().orElse(Result.EMPTY));
    }
  }

  /**
   * Reverts {@link #moveRoutes}. Link routes are moved before routes by gateways, which need them.
   */
  private static void moveRoutesBack(
      RouteSocket routing, Link link, Set<Integer> tables, Result previous) throws IOException {
    for (IpFamily family : IpFamily.values()) {
      List<Route> moved =
          routing.routes(family).stream()
              .filter(route -> tables.contains(route.table()))
              .flatMap(route -> route.partsThrough(link.index()).stream())
              .sorted(comparing(route -> route.hops().getFirst().gateway().isPresent()))
              .toList();
      for (Route route : moved) {
        if (route.prefix() > 0 || isInResult(route, previous)) {
          Route restored = route.inTable(RtnetlinkConstants.RT_TABLE_MAIN);
          routing.executeIgnoring(restored.addRequest(), Errno.EEXIST);
        }
        routing.executeIgnoring(route.deleteRequest(), Errno.ESRCH);
      }
    }
  }

  /** Whether a default route is an earlier plugin's, and not one that was added to the table. */
  private static boolean isInResult(Route route, Result previous) {
    return previous.routes().stream()
        .anyMatch(
            it -> route.hasDestination(it.destination().address(), it.destination().prefix()));
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    SbrConfig.parse(request.config());
  }
}
