package cni.plugins.meta.firewall;

import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.InetAddresses;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.SpecVersion;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.nftables.Transaction;
import cni.plugins.meta.PreviousResult;
import cni.plugins.meta.firewall.FirewallConfig.Backend;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RuleOwner;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Lets the container's packets pass through a host that drops what it does not know, and keeps
 * containers at different bridges from each other if so configured.
 */
public final class FirewallPlugin implements NetworkPlugin {
  private final FirewalldClient firewalld;

  /** The plugin as the runtime makes it. */
  public FirewallPlugin() {
    this(FirewalldClient.system());
  }

  FirewallPlugin(FirewalldClient firewalld) {
    this.firewalld = firewalld;
  }

  @Override
  public String type() {
    return "firewall";
  }

  /** {@inheritDoc} Before 0.4.0 there was no CHECK, which the reference plugin takes as a must. */
  @Override
  public Set<SpecVersion> versions() {
    return SpecVersion.ALL.stream()
        .filter(version -> version.compareTo(SpecVersion.V0_4_0) >= 0)
        .collect(Collectors.toUnmodifiableSet());
  }

  /** Whether firewalld decides. */
  private boolean usesFirewalld(Backend backend, CallContext context) throws CniException {
    return backend == Backend.FIREWALLD
        || (mayUseFirewalld(backend, context) && firewalld.isRunning());
  }

  /**
   * Whether firewalld, if it is running, decides. It only knows the namespace that it runs in,
   * which is this process's if it can be reached.
   */
  private static boolean mayUseFirewalld(Backend backend, CallContext context) {
    return backend == Backend.FIREWALLD
        || (backend == Backend.AUTO && context.hostNamespace().isEmpty());
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    FirewallConfig config = FirewallConfig.parse(request.config());
    Result previous = PreviousResult.require(request);
    Optional<IngressPolicyRules> isolation = isolation(config, previous);
    var rollback = new Rollback();
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      return rollback.guard(
          "letting packets pass",
          () -> {
            boolean asked = usesFirewalld(config.backend(), request.context());
            if (asked) {
              rollback.add(() -> firewalld.removeSources(config.zone(), sources(previous)));
              firewalld.addSources(config.zone(), sources(previous));
            }
            addRules(host, request, config, isolation, asked);
            return previous;
          });
    }
  }

  private static Optional<IngressPolicyRules> isolation(FirewallConfig config, Result previous)
      throws CniException {
    if (config.ingress() == FirewallConfig.IngressPolicy.OPEN) {
      return Optional.empty();
    }
    if (previous.interfaces().isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "prevResult has no interfaces: ingressPolicy \""
              + config.ingress().configValue()
              + "\" needs a bridge; put firewall behind the bridge plugin");
    }
    String bridge = previous.interfaces().getFirst().name();
    return Optional.of(new IngressPolicyRules(bridge, config.ingress()));
  }

  private static void addRules(
      NetNsSession host,
      AttachmentRequest request,
      FirewallConfig config,
      Optional<IngressPolicyRules> isolation,
      boolean asked)
      throws CniException, IOException {
    ForwardAcceptRules rules = rules(request, config);
    try {
      Backend backend = config.backend();
      host.nftables()
          .update(there -> planAdd(new RulesetReconciler(there), rules, isolation, backend, asked));
    } catch (NetlinkException e) {
      // A kernel without the matches of iptables cannot have iptables either.
      boolean unable = e.is(Errno.ENOENT) || e.is(Errno.EOPNOTSUPP);
      if (config.backend() != Backend.AUTO || !unable) {
        throw e;
      }
      host.nftables()
          .update(
              there ->
                  planAdd(new RulesetReconciler(there), rules, isolation, Backend.NFTABLES, asked));
    }
  }

  private static Transaction planAdd(
      RulesetReconciler change,
      ForwardAcceptRules rules,
      Optional<IngressPolicyRules> isolation,
      Backend backend,
      boolean asked)
      throws IOException {
    if (!asked) {
      for (var chain : rules.chains(change, backend)) {
        rules.add(change, chain);
      }
    }
    if (isolation.isPresent()) {
      for (TableFamily family : isolationFamilies(rules, backend)) {
        isolation.get().add(change, IngressPolicyRules.baseChain(family));
      }
    }
    return change.transaction();
  }

  /** Isolation has no place in firewalld; as the reference does it, iptables' chains have it. */
  private static List<TableFamily> isolationFamilies(ForwardAcceptRules rules, Backend backend) {
    if (backend == Backend.NFTABLES) {
      return List.of(TableFamily.INET);
    }
    return List.of(TableFamily.IP, TableFamily.IP6).stream()
        .filter(
            family -> rules.addresses().stream().anyMatch(ForwardChain.ofIptables(family)::carries))
        .toList();
  }

  private static ForwardAcceptRules rules(AttachmentRequest request, FirewallConfig config)
      throws CniException {
    List<InetAddress> addresses =
        request.prevResult().orElse(Result.EMPTY).ips().stream()
            .map(ip -> ip.address().address())
            .distinct()
            .toList();
    String owner = RuleOwner.of(request.config().network(), request.attachment().id());
    return new ForwardAcceptRules(addresses, owner, config.adminChain());
  }

  private static List<String> sources(Result previous) {
    return previous.ips().stream()
        .map(ip -> ip.address().address())
        .map(address -> InetAddresses.format(address) + "/" + InetAddresses.bits(address))
        .toList();
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    FirewallConfig config = FirewallConfig.parse(request.config());
    Result previous = request.requirePrevResult();
    Optional<IngressPolicyRules> isolation = isolation(config, previous);
    ForwardAcceptRules rules = rules(request, config);
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      var there = new RulesetReconciler(host.nftables());
      List<InstalledRule> wanted = new ArrayList<>();
      if (usesFirewalld(config.backend(), request.context())) {
        firewalld.requireSources(config.zone(), sources(previous));
      } else {
        for (ForwardChain chain : rules.chains(there, config.backend())) {
          wanted.addAll(rules.expectedRules(chain));
        }
      }
      if (isolation.isPresent()) {
        for (TableFamily family : isolationFamilies(rules, config.backend())) {
          wanted.addAll(isolation.get().expectedRules(IngressPolicyRules.baseChain(family)));
        }
      }
      AttachmentCheck.requireNoneMissing(
          there.findMissing(wanted), "packets of " + sources(previous) + " may not pass");
    } catch (IOException e) {
      throw NetNsSession.failure("checking what lets packets pass", e);
    }
  }

  /** {@inheritDoc} By a configuration that makes no sense as well. */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    FirewallConfig config;
    try {
      config = FirewallConfig.parse(request.config());
    } catch (CniException e) {
      config = FirewallConfig.DEFAULTS;
    }
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      remove(host, request, config);
    } catch (IOException e) {
      throw NetNsSession.failure("removing what lets packets pass", e);
    }
  }

  private void remove(NetNsSession host, AttachmentRequest request, FirewallConfig config)
      throws CniException, IOException {
    ForwardAcceptRules rules = rules(request, config);
    List<String> sources = sources(request.prevResult().orElse(Result.EMPTY));
    if (!sources.isEmpty()
        && mayUseFirewalld(config.backend(), request.context())
        && firewalld.isRunning()) {
      firewalld.removeSources(config.zone(), sources);
    }
    host.nftables()
        .update(
            there -> {
              var change = new RulesetReconciler(there);
              rules.delete(change);
              return change.transaction();
            });
    rules.deleteLegacy(host);
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    Predicate<String> stale = RuleOwner.stale(request.config().network(), request.valid());
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      host.nftables()
          .update(
              there -> {
                var change = new RulesetReconciler(there);
                ForwardAcceptRules.deleteStale(change, stale);
                return change.transaction();
              });
    } catch (IOException e) {
      throw NetNsSession.failure("removing stale rules", e);
    }
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    FirewallConfig config = FirewallConfig.parse(request.config());
    if (config.backend() == Backend.FIREWALLD) {
      firewalld.requireRunning();
    }
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      host.requireNftables();
    }
  }
}
