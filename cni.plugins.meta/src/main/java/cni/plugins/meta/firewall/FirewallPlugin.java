// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.firewall;

import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkRequest;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.SpecVersion;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.TableFamily;
import cni.plugins.meta.PreviousResult;
import cni.plugins.meta.firewall.FirewallConfig.Backend;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RuleBackend;
import cni.plugins.support.RuleOwner;
import java.io.IOException;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * The firewall plugin: accepts the container's forwarded packets on hosts whose rules would drop
 * them, and isolates containers of different bridges if {@code ingressPolicy} says so.
 */
public final class FirewallPlugin implements UpdatablePlugin {
  private final FirewalldClient firewalld;

  /** Creates the plugin; called by the ServiceLoader. */
  public FirewallPlugin() {
    this(FirewalldClient.system());
  }

  FirewallPlugin(FirewalldClient firewalld) {
    this.firewalld = firewalld;
  }

  FirewalldClient firewalld() {
    return firewalld;
  }

  @Override
  public String type() {
    return "firewall";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.CHAINED);
  }

  /** {@inheritDoc} Those with CHECK, 0.4.0 and later, as the reference plugin. */
  @Override
  public Set<SpecVersion> versions() {
    return SpecVersion.since(SpecVersion.V0_4_0);
  }

  /**
   * Whether firewalld manages the host's firewall, so that the container becomes a source there.
   */
  boolean usesFirewalld(Backend backend, CallContext context) throws CniException {
    return backend == Backend.FIREWALLD
        || (mayUseFirewalld(backend, context) && firewalld.isRunning());
  }

  /**
   * Whether to use firewalld if it is running. It manages only the network namespace that it runs
   * in; if this process can reach it, that is this process's own.
   */
  static boolean mayUseFirewalld(Backend backend, CallContext context) {
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
          "accepting forwarded packets",
          () -> {
            boolean viaFirewalld = usesFirewalld(config.backend(), request.context());
            if (viaFirewalld) {
              rollback.add(() -> firewalld.removeSources(config.zone(), sources(previous)));
              firewalld.addSources(config.zone(), sources(previous));
            }
            addRules(host, request, config, isolation, viaFirewalld);
            return previous;
          });
    }
  }

  static Optional<IngressPolicyRules> isolation(FirewallConfig config, Result previous)
      throws CniException {
    if (config.ingress() == FirewallConfig.IngressPolicy.OPEN) {
      return Optional.empty();
    }
    Optional<Result.Interface> first = PreviousResult.firstInterface(previous);
    if (first.isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "prevResult has no interfaces: ingressPolicy \""
              + config.ingress().configValue()
              + "\" needs a bridge; put firewall after the bridge plugin");
    }
    return Optional.of(new IngressPolicyRules(first.get().name(), config.ingress()));
  }

  private static void addRules(
      NetNsSession host,
      AttachmentRequest request,
      FirewallConfig config,
      Optional<IngressPolicyRules> isolation,
      boolean viaFirewalld)
      throws CniException, IOException {
    ForwardAcceptRules rules = rules(request, config);
    try {
      addRules(host, rules, isolation, config.backend(), viaFirewalld);
    } catch (NetlinkException e) {
      // A kernel without the matches of iptables has no rules of iptables to complement either.
      if (config.backend() != Backend.AUTO || !RuleBackend.isUnsupported(e)) {
        throw e;
      }
      addRules(host, rules, isolation, Backend.NFTABLES, viaFirewalld);
    }
  }

  private static void addRules(
      NetNsSession host,
      ForwardAcceptRules rules,
      Optional<IngressPolicyRules> isolation,
      Backend backend,
      boolean viaFirewalld)
      throws IOException {
    RulesetReconciler.<IOException>update(
        host.nftables(),
        reconciler -> planAdd(reconciler, rules, isolation, backend, viaFirewalld));
  }

  private static void planAdd(
      RulesetReconciler reconciler,
      ForwardAcceptRules rules,
      Optional<IngressPolicyRules> isolation,
      Backend backend,
      boolean viaFirewalld)
      throws IOException {
    if (!viaFirewalld) {
      for (ForwardChain chain : rules.chains(reconciler, backend)) {
        rules.add(reconciler, chain);
      }
    }
    if (isolation.isPresent()) {
      for (TableFamily family : isolationFamilies(rules, backend)) {
        isolation.get().add(reconciler, IngressPolicyRules.baseChain(family));
      }
    }
  }

  /**
   * Returns the families of the tables that hold the isolation rules. firewalld cannot express
   * them: with it they are in the tables of iptables, as the reference plugin does.
   */
  static List<TableFamily> isolationFamilies(ForwardAcceptRules rules, Backend backend) {
    if (backend == Backend.NFTABLES) {
      return List.of(TableFamily.INET);
    }
    return List.of(TableFamily.IP, TableFamily.IP6).stream()
        .filter(
            family -> rules.addresses().stream().anyMatch(ForwardChain.ofIptables(family)::carries))
        .toList();
  }

  static ForwardAcceptRules rules(AttachmentRequest request, FirewallConfig config)
      throws CniException {
    List<InetAddress> addresses =
        PreviousResult.ips(request.prevResult().orElse(Result.EMPTY)).stream()
            .map(ip -> ip.address().address())
            .distinct()
            .toList();
    String owner = RuleOwner.of(request.config().network(), request.attachment().id());
    return new ForwardAcceptRules(addresses, owner, config.adminChain());
  }

  /** Returns the container's addresses as the sources of a firewalld zone: {@code 10.1.0.2/32}. */
  static List<String> sources(Result previous) {
    return PreviousResult.ips(previous).stream()
        .map(ip -> ip.address().address())
        .map(address -> Cidr.ofHost(address).toString())
        .toList();
  }

  @Override
  public Set<String> changeableKeys() {
    return FirewallComparison.CHANGEABLE_KEYS;
  }

  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    return new FirewallComparison(this, request, differences).run();
  }

  /** {@inheritDoc} An invalid configuration is replaced by the defaults. */
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
      throw NetNsSession.failure("removing the firewall rules", e);
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
    RulesetReconciler.<IOException>update(host.nftables(), rules::delete);
    rules.deleteLegacy(host);
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    Predicate<String> isStale = RuleOwner.stale(request.config().network(), request.valid());
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      RulesetReconciler.<IOException>update(
          host.nftables(), reconciler -> ForwardAcceptRules.deleteStale(reconciler, isStale));
    } catch (IOException e) {
      throw NetNsSession.failure("removing stale rules", e);
    }
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    FirewallConfig.validate(request.config());
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
