package cni.plugins.chained;

import static cni.plugins.chained.Log.LOG;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.CollectRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.Result;
import cni.api.Rollback;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.netfilter.Conntrack;
import cni.netlink.ffm.netfilter.Family;
import cni.netlink.ffm.netfilter.ListedRule;
import cni.netlink.ffm.netfilter.Nftables;
import cni.netlink.ffm.netfilter.RuleBuilder;
import cni.netlink.ffm.netfilter.RulesetChange;
import cni.netlink.ffm.netfilter.Transaction;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.sandbox.AttachmentCheck;
import cni.sandbox.Attempt;
import cni.sandbox.Namespace;
import cni.sandbox.RuleBackend;
import cni.sandbox.RuleOwner;
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
    try (Namespace host = Namespace.ofHost(request.context())) {
      return Attempt.orTakeBack(
          "mapping ports " + config.mappings(),
          rollback,
          () -> {
            List<Cidr> addresses = PreviousResult.addresses(request, previous);
            host.nftables().update(there -> plan(there, request, config, addresses));
            // Only now: what was refused as a whole must not take an earlier ADD's rules with it.
            rollback.add(() -> remove(host, request));
            for (Cidr address : addresses) {
              forgetConnections(host, config, address.isV4());
              if (address.isV4() && config.snat()) {
                routeLocalnet(host, address);
              }
            }
            if (config.snat()) {
              Hairpin.enable(host, previous);
            }
            return previous;
          });
    }
  }

  private static Transaction plan(
      Nftables there, AttachmentRequest request, PortMapConfig config, List<Cidr> addresses)
      throws CniException, IOException {
    var change = new RulesetChange(there);
    for (Cidr address : addresses) {
      boolean v4 = address.isV4();
      var rules = new PortMapRules(v4);
      List<ListedRule> mapped = change.rules(rules.table());
      List<ListedRule> iptables = change.rules(IptablesPortMap.table(v4));
      requireFree(request, config.mappings(v4), v4, mapped, iptables);
      if (config.backend() == RuleBackend.IPTABLES) {
        iptables(request, v4).add(change, config, address);
      } else {
        rules.add(
            change.transaction(), mapped, config, address, container(request), owner(request));
      }
    }
    return change.transaction();
  }

  private static void requireFree(
      AttachmentRequest request,
      List<PortMapping> mappings,
      boolean v4,
      List<ListedRule> mapped,
      List<ListedRule> iptables)
      throws CniException {
    List<ListedRule> others =
        mapped.stream()
            .filter(
                rule ->
                    rule.rule().userdata().comment().filter(container(request)::equals).isEmpty())
            .toList();
    PortConflicts.requireNone(mappings, others, rule -> rule.rule().userdata().comment());
    PortConflicts.requireNone(
        mappings,
        iptables(request, v4).others(iptables).stream()
            .filter(
                rule ->
                    IptablesPortMap.container(rule, iptables)
                        .filter(container(request)::equals)
                        .isEmpty())
            .toList(),
        rule -> IptablesPortMap.container(rule, iptables));
  }

  private static String container(AttachmentRequest request) {
    return request.attachment().containerId();
  }

  private static String owner(AttachmentRequest request) throws CniException {
    return RuleOwner.of(request.config().network(), request.attachment().id());
  }

  private static IptablesPortMap iptables(AttachmentRequest request, boolean v4)
      throws CniException {
    return new IptablesPortMap(v4, request.config().network(), container(request));
  }

  /**
   * A peer that keeps sending has a connection as far as the host is concerned, which goes where it
   * went before there were these rules. For UDP nothing else ends it. That it cannot be ended is no
   * failure.
   */
  private static void forgetConnections(Namespace host, PortMapConfig config, boolean v4) {
    List<PortMapping> udp =
        config.mappings(v4).stream()
            .filter(mapping -> mapping.protocol() == RuleBuilder.UDP)
            .toList();
    if (udp.isEmpty()) {
      return;
    }
    try (Conntrack connections = host.connections()) {
      Set<Integer> ports =
          udp.stream().map(PortMapping::hostPort).collect(Collectors.toUnmodifiableSet());
      connections.forget(v4 ? Family.IP : Family.IP6, RuleBuilder.UDP, ports);
    } catch (IOException e) {
      LOG.log(
          System.Logger.Level.WARNING,
          "earlier connections to " + udp + " go on to where they went: " + e.getMessage());
    }
  }

  /** Has the interface towards the container take packets from 127.0.0.1. */
  private static void routeLocalnet(Namespace host, Cidr container) throws IOException {
    Optional<String> link = linkTowards(host, container);
    if (link.isPresent()) {
      String key = "net/ipv4/conf/" + link.get() + "/route_localnet";
      host.withSysctl(sysctl -> sysctl.ensure(key, "1"));
    }
  }

  private static Optional<String> linkTowards(Namespace host, Cidr container) throws IOException {
    try {
      Route route = host.routing().routeTo(container.address());
      return host.routing().link(route.hops().getFirst().link()).map(Link::name);
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
    List<ListedRule> wanted = new ArrayList<>();
    for (Cidr address : PreviousResult.addresses(request, previous)) {
      wanted.addAll(wanted(request, config, address));
    }
    try (Namespace host = Namespace.ofHost(request.context())) {
      AttachmentCheck.requireNone(
          new RulesetChange(host.nftables()).missing(wanted),
          "ports " + config.mappings() + " are not mapped as they should be");
    } catch (IOException e) {
      throw Namespace.failure("checking ports " + config.mappings(), e);
    }
  }

  private static List<ListedRule> wanted(
      AttachmentRequest request, PortMapConfig config, Cidr address) throws CniException {
    boolean v4 = address.isV4();
    return config.backend() == RuleBackend.IPTABLES
        ? iptables(request, v4).wanted(config, address)
        : new PortMapRules(v4).wanted(config, address, container(request), owner(request));
  }

  /**
   * {@inheritDoc}
   *
   * <p>Removes the rules of either backend, whatever the configuration says by now.
   */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try (Namespace host = Namespace.ofHost(request.context())) {
      remove(host, request);
      forgetConnections(host, request);
    } catch (IOException e) {
      throw Namespace.failure("removing the mapped ports of " + container(request), e);
    }
  }

  /** A configuration that makes no sense has never mapped anything. */
  private static void forgetConnections(Namespace host, AttachmentRequest request) {
    try {
      PortMapConfig config = PortMapConfig.parse(request.config());
      FAMILIES.forEach(v4 -> forgetConnections(host, config, v4));
    } catch (CniException e) {
      LOG.log(System.Logger.Level.DEBUG, "no connections to forget", e);
    }
  }

  private static void remove(Namespace host, AttachmentRequest request)
      throws CniException, IOException {
    String owner = owner(request);
    host.nftables()
        .update(
            there -> {
              var change = new RulesetChange(there);
              for (boolean v4 : FAMILIES) {
                var rules = new PortMapRules(v4);
                List<ListedRule> mapped = change.rules(rules.table());
                rules.delete(change.transaction(), mapped, container(request), owner);
                iptables(request, v4).delete(change);
              }
              return change.transaction();
            });
    iptables(request, true).deleteLegacy(host);
  }

  @Override
  public void collect(CollectRequest request) throws CniException {
    String network = request.config().network();
    Predicate<String> stale = RuleOwner.stale(network, request.valid());
    try (Namespace host = Namespace.ofHost(request.context())) {
      host.nftables()
          .update(
              there -> {
                var change = new RulesetChange(there);
                for (boolean v4 : FAMILIES) {
                  change.rules(new PortMapRules(v4).table()).stream()
                      .filter(rule -> rule.rule().userdata().owner().filter(stale).isPresent())
                      .forEach(change::delete);
                  IptablesPortMap.collect(change, v4, network, request.valid());
                }
                return change.transaction();
              });
      IptablesPortMap.collectLegacy(host, network, request.valid());
    } catch (IOException e) {
      throw Namespace.failure("removing stale mapped ports of network " + network, e);
    }
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    PortMapConfig.parse(request.config());
    try (Namespace host = Namespace.ofHost(request.context())) {
      host.requireNftables();
    }
  }
}
