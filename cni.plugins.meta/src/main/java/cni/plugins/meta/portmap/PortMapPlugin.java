package cni.plugins.meta.portmap;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.nftables.ConntrackSocket;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.NftablesSocket;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.nftables.Transaction;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.plugins.meta.PreviousResult;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RuleBackend;
import cni.plugins.support.RuleOwner;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Leads ports of the host into the container ({@code portMappings}): what comes in from elsewhere,
 * what the host itself sends there, also by 127.0.0.1, and what the container sends to itself that
 * way.
 */
public final class PortMapPlugin implements NetworkPlugin {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.meta");

  private static final List<Boolean> FAMILIES = List.of(true, false);

  /** The plugin as the runtime makes it. */
  public PortMapPlugin() {}

  @Override
  public String type() {
    return "portmap";
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    PortMapConfig config = PortMapConfig.parse(request.config());
    Result previous = PreviousResult.require(request);
    if (config.mappings().isEmpty()) {
      return previous;
    }
    var rollback = new Rollback();
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      return rollback.guard(
          "mapping ports " + config.mappings(),
          () -> {
            List<Cidr> addresses = PreviousResult.firstAddressPerFamily(request, previous);
            host.nftables().update(there -> planAdd(there, request, config, addresses));
            // Only now: what was refused as a whole must not take an earlier ADD's rules with it.
            rollback.add(() -> removeRules(host, request));
            for (Cidr address : addresses) {
              forgetUdpConnections(host, config, address.isV4());
              if (address.isV4() && config.snat()) {
                routeLocalnet(host, address);
              }
            }
            if (config.snat()) {
              HairpinMode.enable(host, previous);
            }
            return previous;
          });
    }
  }

  private static Transaction planAdd(
      NftablesSocket there, AttachmentRequest request, PortMapConfig config, List<Cidr> addresses)
      throws CniException, IOException {
    var change = new RulesetReconciler(there);
    for (Cidr address : addresses) {
      boolean v4 = address.isV4();
      var rules = new NftablesDnatRules(v4);
      List<InstalledRule> mapped = change.rules(rules.table());
      List<InstalledRule> iptables = change.rules(IptablesDnatRules.natTable(v4));
      requireNoConflict(request, config.mappings(v4), v4, mapped, iptables);
      if (config.backend() == RuleBackend.IPTABLES) {
        iptablesRules(request, v4).add(change, config, address);
      } else {
        rules.add(
            change.transaction(), mapped, config, address, containerId(request), owner(request));
      }
    }
    return change.transaction();
  }

  private static void requireNoConflict(
      AttachmentRequest request,
      List<PortMapping> mappings,
      boolean v4,
      List<InstalledRule> mapped,
      List<InstalledRule> iptables)
      throws CniException {
    List<InstalledRule> others =
        mapped.stream()
            .filter(
                rule ->
                    rule.rule().userdata().comment().filter(containerId(request)::equals).isEmpty())
            .toList();
    PortConflicts.requireNoConflict(mappings, others, rule -> rule.rule().userdata().comment());
    PortConflicts.requireNoConflict(
        mappings,
        iptablesRules(request, v4).rulesOfOtherContainers(iptables).stream()
            .filter(
                rule ->
                    IptablesDnatRules.containerOf(rule, iptables)
                        .filter(containerId(request)::equals)
                        .isEmpty())
            .toList(),
        rule -> IptablesDnatRules.containerOf(rule, iptables));
  }

  private static String containerId(AttachmentRequest request) {
    return request.attachment().containerId();
  }

  private static String owner(AttachmentRequest request) throws CniException {
    return RuleOwner.of(request.config().network(), request.attachment().id());
  }

  private static IptablesDnatRules iptablesRules(AttachmentRequest request, boolean v4)
      throws CniException {
    return new IptablesDnatRules(v4, request.config().network(), containerId(request));
  }

  /**
   * A peer that keeps sending has a connection as far as the host is concerned, which goes where it
   * went before there were these rules. For UDP nothing else ends it. That it cannot be ended is no
   * failure.
   */
  private static void forgetUdpConnections(NetNsSession host, PortMapConfig config, boolean v4) {
    List<PortMapping> udp =
        config.mappings(v4).stream()
            .filter(mapping -> mapping.protocol() == RuleBuilder.UDP)
            .toList();
    if (udp.isEmpty()) {
      return;
    }
    try (ConntrackSocket connections = host.openConntrack()) {
      Set<Integer> ports =
          udp.stream().map(PortMapping::hostPort).collect(Collectors.toUnmodifiableSet());
      connections.deleteConnections(v4 ? TableFamily.IP : TableFamily.IP6, RuleBuilder.UDP, ports);
    } catch (IOException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "earlier connections to " + udp + " go on to where they went: " + e.getMessage());
    }
  }

  /** Has the interface towards the container take packets from 127.0.0.1. */
  private static void routeLocalnet(NetNsSession host, Cidr container) throws IOException {
    Optional<String> link = linkToContainer(host, container);
    if (link.isPresent()) {
      String key = "net/ipv4/conf/" + link.get() + "/route_localnet";
      host.runSysctl(sysctl -> sysctl.ensure(key, "1"));
    }
  }

  private static Optional<String> linkToContainer(NetNsSession host, Cidr container)
      throws IOException {
    try {
      Route route = host.rtnetlink().routeTo(container.address());
      return host.rtnetlink().link(route.hops().getFirst().link()).map(Link::name);
    } catch (NetlinkException e) {
      if (e.is(Errno.ENETUNREACH) || e.is(Errno.EHOSTUNREACH)) {
        return Optional.empty();
      }
      throw e;
    }
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    PortMapConfig config = PortMapConfig.parse(request.config());
    Result previous = request.requirePrevResult();
    if (config.mappings().isEmpty()) {
      return;
    }
    List<InstalledRule> wanted = new ArrayList<>();
    for (Cidr address : PreviousResult.firstAddressPerFamily(request, previous)) {
      wanted.addAll(expectedRules(request, config, address));
    }
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      AttachmentCheck.requireNoneMissing(
          new RulesetReconciler(host.nftables()).findMissing(wanted),
          "ports " + config.mappings() + " are not mapped as they should be");
    } catch (IOException e) {
      throw NetNsSession.failure("checking ports " + config.mappings(), e);
    }
  }

  private static List<InstalledRule> expectedRules(
      AttachmentRequest request, PortMapConfig config, Cidr address) throws CniException {
    boolean v4 = address.isV4();
    return config.backend() == RuleBackend.IPTABLES
        ? iptablesRules(request, v4).expectedRules(config, address)
        : new NftablesDnatRules(v4)
            .expectedRules(config, address, containerId(request), owner(request));
  }

  /**
   * {@inheritDoc}
   *
   * <p>Removes the rules of either backend, whatever the configuration says by now.
   */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      removeRules(host, request);
      forgetUdpConnections(host, request);
    } catch (IOException e) {
      throw NetNsSession.failure("removing the mapped ports of " + containerId(request), e);
    }
  }

  /** A configuration that makes no sense has never mapped anything. */
  private static void forgetUdpConnections(NetNsSession host, AttachmentRequest request) {
    try {
      PortMapConfig config = PortMapConfig.parse(request.config());
      FAMILIES.forEach(v4 -> forgetUdpConnections(host, config, v4));
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "no connections to forget", e);
    }
  }

  private static void removeRules(NetNsSession host, AttachmentRequest request)
      throws CniException, IOException {
    String owner = owner(request);
    host.nftables()
        .update(
            there -> {
              var change = new RulesetReconciler(there);
              for (boolean v4 : FAMILIES) {
                var rules = new NftablesDnatRules(v4);
                List<InstalledRule> mapped = change.rules(rules.table());
                rules.delete(change.transaction(), mapped, containerId(request), owner);
                iptablesRules(request, v4).delete(change);
              }
              return change.transaction();
            });
    iptablesRules(request, true).deleteLegacy(host);
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    String network = request.config().network();
    Predicate<String> stale = RuleOwner.stale(network, request.valid());
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      host.nftables()
          .update(
              there -> {
                var change = new RulesetReconciler(there);
                for (boolean v4 : FAMILIES) {
                  change.rules(new NftablesDnatRules(v4).table()).stream()
                      .filter(rule -> rule.rule().userdata().owner().filter(stale).isPresent())
                      .forEach(change::delete);
                  IptablesDnatRules.deleteStale(change, v4, network, request.valid());
                }
                return change.transaction();
              });
      IptablesDnatRules.deleteStaleLegacy(host, network, request.valid());
    } catch (IOException e) {
      throw NetNsSession.failure("removing stale mapped ports of network " + network, e);
    }
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    PortMapConfig.parse(request.config());
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      host.requireNftables();
    }
  }
}
