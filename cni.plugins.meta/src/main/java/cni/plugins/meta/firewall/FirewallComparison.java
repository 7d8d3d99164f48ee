// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.firewall;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.RulesetUpdate;
import cni.netlink.ffm.nftables.TableFamily;
import cni.plugins.meta.PreviousResult;
import cni.plugins.meta.firewall.FirewallConfig.Backend;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RuleBackend;
import cni.plugins.support.RuleDifferences;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** One comparison of the firewall rules with the desired ones, for CHECK, repair and update. */
final class FirewallComparison {
  /** The keys that an update can change. */
  static final Set<String> CHANGEABLE_KEYS =
      Set.of("backend", "iptablesAdminChainName", "ingressPolicy");

  private final FirewallPlugin plugin;
  private final UpdateRequest request;
  private final Differences differences;
  private final boolean isUnchanged;
  private final Result result;
  private final FirewallConfig desired;
  private final FirewallConfig current;
  private final ForwardAcceptRules rules;
  private final ForwardAcceptRules currentRules;
  private final Optional<IngressPolicyRules> isolation;
  private final Optional<IngressPolicyRules> currentIsolation;
  private final boolean viaFirewalld;
  private final String owner;

  /** The backend of the rules; becomes NFTABLES if the kernel has no matches of iptables. */
  private Backend backend;

  FirewallComparison(FirewallPlugin plugin, UpdateRequest request, Differences differences)
      throws CniException {
    this.plugin = plugin;
    this.request = request;
    this.differences = differences.of(Differences.Kind.RULE);
    isUnchanged = PreviousResult.isUnchanged(request);
    desired = FirewallConfig.parse(request.desired().config());
    current = isUnchanged ? desired : FirewallConfig.parse(request.current().config());
    result = request.desired().requirePrevResult();
    isolation = FirewallPlugin.isolation(desired, result);
    currentIsolation = isUnchanged ? isolation : FirewallPlugin.isolation(current, before());
    rules = FirewallPlugin.rules(request.desired(), desired);
    currentRules = isUnchanged ? rules : FirewallPlugin.rules(request.current(), current);
    owner = rules.owner();
    backend = desired.backend();
    viaFirewalld = plugin.usesFirewalld(backend, request.desired().context());
  }

  private Result before() {
    return request.current().prevResult().orElse(result);
  }

  /** Adds what differs, and returns the desired result. */
  Result run() throws CniException {
    NetNsSession host = differences.keep(NetNsSession.openHost(request.desired().context()));
    try {
      var update = new RulesetUpdate<CniException>(host.nftables(), this::plan, this::isOwn);
      RulesetReconciler plan = update.plan(!isUnchanged);
      if (viaFirewalld) {
        compareSources();
      }
      RuleDifferences.add(
          differences,
          plan,
          "packets of " + FirewallPlugin.sources(result) + " may be dropped",
          (isUnchanged ? "restore" : "change") + " the firewall rules",
          () -> apply(update),
          update::undo);
      if (!isUnchanged) {
        requireBridgeOfOneNetwork(plan);
        removeObsoleteSources();
      }
    } catch (IOException e) {
      throw NetNsSession.failure("checking the firewall rules", e);
    }
    return result;
  }

  private boolean isOwn(InstalledRule rule) {
    return rule.rule().userdata().owner().filter(owner::equals).isPresent();
  }

  private void plan(RulesetReconciler reconciler) throws IOException {
    List<ForwardChain> chains = viaFirewalld ? List.of() : rules.chains(reconciler, backend);
    for (ForwardChain chain : chains) {
      rules.update(reconciler, chain, currentRules);
    }
    for (TableFamily family : FirewallPlugin.isolationFamilies(rules, backend)) {
      planIsolation(reconciler, IngressPolicyRules.baseChain(family));
    }
    if (!isUnchanged) {
      rules.deleteObsolete(reconciler, chains, currentRules);
    }
  }

  /** A policy is that of the bridge: the rules of the former one are for the same containers. */
  private void planIsolation(RulesetReconciler reconciler, ForwardChain forward)
      throws IOException {
    boolean isReplaced = isPolicyChanged() && currentIsolation.isPresent();
    if (isolation.isEmpty()) {
      if (isReplaced) {
        currentIsolation.get().delete(reconciler, forward);
      }
    } else if (isReplaced) {
      isolation.get().replace(reconciler, forward, currentIsolation.get());
    } else {
      isolation.get().add(reconciler, forward);
    }
  }

  private boolean isPolicyChanged() {
    return current.ingress() != desired.ingress();
  }

  /** A less strict policy would apply to the other network's containers as well. */
  private void requireBridgeOfOneNetwork(RulesetReconciler plan) throws IOException {
    if (!isPolicyChanged() || current.ingress().compareTo(desired.ingress()) < 0) {
      return;
    }
    List<Cidr> networks =
        PreviousResult.ips(result).stream().map(ip -> ip.address().network()).toList();
    if (rules.areNetworksShared(plan, networks)) {
      differences.addUnchangeable(
          "ingressPolicy of bridge %s cannot become \"%s\": containers of other networks share it"
              .formatted(
                  currentIsolation.map(IngressPolicyRules::bridge).orElse(""),
                  desired.ingress().configValue()));
    }
  }

  private void apply(RulesetUpdate<CniException> update) throws CniException, IOException {
    try {
      update.apply();
    } catch (NetlinkException e) {
      if (backend != Backend.AUTO || !RuleBackend.isUnsupported(e)) {
        throw e;
      }
      backend = Backend.NFTABLES;
      update.apply();
    }
  }

  private void compareSources() throws CniException {
    List<String> sources = FirewallPlugin.sources(result);
    String zone = desired.zone();
    List<String> present = plugin.firewalld().presentSources(zone, sources);
    List<String> missing = sources.stream().filter(it -> !present.contains(it)).toList();
    if (!missing.isEmpty()) {
      differences.add(
          "source %2$s is missing from zone %1$s of firewalld"
              .formatted(zone, String.join(", ", missing)),
          "add sources %s to zone %s of firewalld".formatted(missing, zone),
          () -> plugin.firewalld().addSources(zone, missing),
          () -> plugin.firewalld().removeSources(zone, missing));
    }
  }

  /** Adds the removal of the sources that only the current state has. */
  private void removeObsoleteSources() throws CniException {
    boolean mayHaveSources =
        FirewallPlugin.mayUseFirewalld(current.backend(), request.current().context())
            && plugin.firewalld().isRunning();
    if (!mayHaveSources) {
      return;
    }
    List<String> wanted = viaFirewalld ? FirewallPlugin.sources(result) : List.of();
    List<String> unwanted =
        FirewallPlugin.sources(before()).stream().filter(it -> !wanted.contains(it)).toList();
    String zone = current.zone();
    List<String> obsolete = plugin.firewalld().presentSources(zone, unwanted);
    if (!obsolete.isEmpty()) {
      differences.add(
          "zone %s of firewalld has sources %s, which are not needed".formatted(zone, obsolete),
          "remove sources %s from zone %s of firewalld".formatted(obsolete, zone),
          () -> plugin.firewalld().removeSources(zone, obsolete),
          () -> plugin.firewalld().addSources(zone, obsolete));
    }
  }
}
