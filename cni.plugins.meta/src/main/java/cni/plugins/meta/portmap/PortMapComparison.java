// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.RulesetUpdate;
import cni.netlink.ffm.nftables.TableFamily;
import cni.plugins.meta.PreviousResult;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RuleBackend;
import cni.plugins.support.RuleDifferences;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** One comparison of port mappings with the desired ones, for CHECK, repair and update. */
final class PortMapComparison {
  /** The keys that an update can change. */
  static final Set<String> CHANGEABLE_KEYS =
      Set.of(
          "runtimeConfig.portMappings",
          "backend",
          "conditionsV4",
          "conditionsV6",
          "externalSetMarkChain",
          "markMasqBit",
          "masqAll",
          "snat");

  private final NetNsSession host;
  private final Differences differences;
  private final PortMapRules rules;
  private final PortMapState current;
  private final PortMapState desired;
  private final Result result;
  private final boolean isUnchanged;
  private final List<TableFamily> families;
  private final RulesetUpdate<CniException> update;

  /** Where the rules are, or will be: never {@link RuleBackend#AUTO}. */
  private RuleBackend backend = RuleBackend.NFTABLES;

  /** Why the rules cannot be added: another container has got a port. */
  private Optional<CniException> conflict = Optional.empty();

  private boolean isApplying;

  private PortMapComparison(
      UpdateRequest request,
      NetNsSession host,
      PortMapState current,
      PortMapState desired,
      Differences differences)
      throws CniException {
    this.host = host;
    this.differences = differences.of(Differences.Kind.RULE);
    this.current = current;
    this.desired = desired;
    isUnchanged = PreviousResult.isUnchanged(request);
    rules = PortMapRules.of(request.desired());
    result = request.desired().requirePrevResult();
    families =
        PortMapConfig.FAMILIES.stream()
            .filter(it -> current.address(it).isPresent() || desired.address(it).isPresent())
            .toList();
    update = newUpdate();
  }

  private RulesetUpdate<CniException> newUpdate() throws CniException {
    try {
      return new RulesetUpdate<>(host.nftables(), this::plan, rules::isOwn);
    } catch (IOException e) {
      throw NetNsSession.failure("opening a socket for nf_tables", e);
    }
  }

  /** Adds what differs, and returns the desired result. */
  static Result run(UpdateRequest request, Differences differences) throws CniException {
    Result result = request.desired().requirePrevResult();
    PortMapState desired = PortMapState.of(request.desired());
    PortMapState current =
        PreviousResult.isUnchanged(request) ? desired : PortMapState.of(request.current());
    if (current.config().mappings().isEmpty() && desired.config().mappings().isEmpty()) {
      return result;
    }
    NetNsSession host = differences.keep(NetNsSession.openHost(request.desired().context()));
    try {
      new PortMapComparison(request, host, current, desired, differences).run();
    } catch (IOException e) {
      throw NetNsSession.failure(
          "checking ports " + PortMapConfig.describe(desired.config().mappings()), e);
    }
    return result;
  }

  private void run() throws CniException, IOException {
    RulesetReconciler plan = chooseBackend();
    addRuleDifferences(plan);
    if (desired.config().snat() && !desired.config().mappings().isEmpty()) {
      compareLocalAccess(plan);
    }
    if (!isUnchanged) {
      boolean addsRules = !plan.added().isEmpty();
      MappedConnections.compare(host, current, desired, addsRules, differences);
    } else if (!plan.added().isEmpty()) {
      MappedConnections.restored(host, desired, differences);
    }
  }

  /**
   * Plans the changes of the configured backend. Without a configured one, what is installed on the
   * host may have changed since ADD: the rules stay where they are.
   */
  private RulesetReconciler chooseBackend() throws CniException, IOException {
    backend = desired.config().backend().resolve();
    RulesetReconciler first = newPlan();
    if (desired.config().backend() != RuleBackend.AUTO || first.transaction().isEmpty()) {
      return first;
    }
    RuleBackend other = backend.other();
    if (rules.isInstalled(first, other, families)) {
      RuleBackend preferred = backend;
      boolean isFirstInstalled = rules.isInstalled(first, backend, families);
      backend = other;
      RulesetReconciler second = newPlan();
      if (!isFirstInstalled || second.transaction().isEmpty()) {
        return second;
      }
      backend = preferred;
      return newPlan();
    }
    return first;
  }

  private RulesetReconciler newPlan() throws CniException, IOException {
    conflict = Optional.empty();
    return update.plan(!isUnchanged);
  }

  private void plan(RulesetReconciler reconciler) throws CniException, IOException {
    rules.update(reconciler, backend, families, current, desired);
    if (current.config().backend() != desired.config().backend()
        && desired.config().backend() != RuleBackend.AUTO) {
      rules.delete(reconciler, backend.other());
    }
    if (!reconciler.added().isEmpty()) {
      try {
        requireNoConflict(reconciler);
      } catch (CniException e) {
        if (isApplying || !isUnchanged) {
          throw e;
        }
        conflict = Optional.of(e);
      }
    }
  }

  /** Looks for conflicts of new mappings; all of them are new after their rules have been lost. */
  private void requireNoConflict(RulesetReconciler reconciler) throws CniException, IOException {
    for (TableFamily family : families) {
      List<HostPort> known =
          isUnchanged || current.address(family).isEmpty()
              ? List.of()
              : current.config().mappings(family);
      List<HostPort> added =
          desired.config().mappings(family).stream().filter(it -> !known.contains(it)).toList();
      if (desired.address(family).isPresent()) {
        rules.requireNoConflict(reconciler, added, family);
      }
    }
  }

  private void addRuleDifferences(RulesetReconciler plan) throws IOException {
    String ports = PortMapConfig.describe(desired.config().mappings());
    String consequence = "ports " + ports + " are not mapped as they should be";
    Optional<String> shared =
        backend == RuleBackend.NFTABLES
            ? rules.sharedConditions(plan, families, desired)
            : Optional.empty();
    shared.ifPresent(why -> differences.addUnchangeable(consequence + ": " + why));
    if (conflict.isPresent()) {
      differences.addUnchangeable(
          RuleDifferences.finding(plan, consequence) + "; " + conflict.get().getMessage());
    } else {
      RuleDifferences.add(differences, plan, consequence, description(), this::apply, update::undo);
    }
  }

  private String description() {
    List<HostPort> before = current.config().mappings();
    List<HostPort> after = desired.config().mappings();
    List<HostPort> added = after.stream().filter(it -> !before.contains(it)).toList();
    List<HostPort> removed = before.stream().filter(it -> !after.contains(it)).toList();
    if (added.isEmpty() && removed.isEmpty()) {
      return "restore the rules of ports " + PortMapConfig.describe(after);
    }
    String unmap = "unmap ports " + PortMapConfig.describe(removed);
    String map = "map ports " + PortMapConfig.describe(added);
    return added.isEmpty() ? unmap : removed.isEmpty() ? map : unmap + ", " + map;
  }

  /** Commits the changes; see {@link RuleBackend#add} for kernels without iptables. */
  private void apply() throws CniException, IOException {
    isApplying = true;
    try {
      update.apply();
    } catch (NetlinkException e) {
      if (desired.config().backend() != RuleBackend.AUTO
          || backend == RuleBackend.NFTABLES
          || !RuleBackend.isUnsupported(e)) {
        throw e;
      }
      backend = RuleBackend.NFTABLES;
      update.apply();
    }
  }

  /** The reference plugin does not set the hairpin mode: its attachments are complete without. */
  private void compareLocalAccess(RulesetReconciler plan) throws IOException {
    Optional<Cidr> address = desired.address(TableFamily.IP);
    if (address.isPresent()) {
      boolean isNew = !current.addresses().contains(address.get());
      RouteLocalnet.compare(host, address.get(), isNew, differences);
    }
    if (!plan.added().isEmpty() || rules.haveOwner(plan, families)) {
      HairpinMode.compare(host, result, differences);
    }
  }
}
