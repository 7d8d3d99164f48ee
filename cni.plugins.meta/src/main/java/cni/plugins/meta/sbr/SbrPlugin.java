// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.sbr;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.NetworkRequest;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
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
import cni.plugins.meta.InterfaceRoutes;
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
public final class SbrPlugin implements UpdatablePlugin {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.meta");

  private static final int FIRST_TABLE = 100;

  /** Creates the plugin; called by the ServiceLoader. */
  public SbrPlugin() {}

  @Override
  public String type() {
    return "sbr";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.CHAINED);
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

  static List<Result.IpConfig> addresses(AttachmentRequest request, Result previous)
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
      addSourceHints(routing, link, ips, config);
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
  private static void addSourceHints(
      RouteSocket routing, Link link, List<Result.IpConfig> ips, SbrConfig config)
      throws IOException {
    for (Result.IpConfig ip : ips) {
      Route hint = new SourceRoutes(link, config).sourceHint(ip.address());
      try {
        routing.execute(hint.replaceRequest());
      } catch (NetlinkException e) {
        logNoHint(hint, e);
      }
    }
  }

  static void logNoHint(Route hint, NetlinkException e) {
    LOG.get()
        .log(
            System.Logger.Level.WARNING,
            "no source hint for %s: %s".formatted(InterfaceRoutes.describe(hint), e.getMessage()));
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
    for (Route selected : new SourceRoutes(link, config).select(ip, routes)) {
      Route route = selected.inTable(table);
      routing.execute(route.replaceRequest());
      rollback.add(() -> routing.executeIgnoring(route.deleteRequest(), Errno.ESRCH));
    }
  }

  @Override
  public Set<String> changeableKeys() {
    return Set.of("table", "gateways", "addSourceHints");
  }

  /** {@inheritDoc} The reference plugin's CHECK does nothing. */
  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    return SbrComparison.compare(request, differences);
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
              .sorted(SourceRoutes.GATEWAYS_LAST)
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
  static boolean isInResult(Route route, Result previous) {
    return previous.routes().stream()
        .anyMatch(
            it -> route.hasDestination(it.destination().address(), it.destination().prefix()));
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    SbrConfig.parse(request.config());
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    SbrConfig.parse(request.config());
  }
}
