// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.nftables.Userdata;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RuleBackend;
import cni.plugins.support.RuleOwner;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/** The rules of an attachment's port mappings, in the tables of both backends and families. */
final class PortMapRules {
  private final String containerId;
  private final Map<TableFamily, NftablesDnatRules> nftables;
  private final Map<TableFamily, IptablesDnatRules> iptables;

  private PortMapRules(String network, String containerId, String owner) {
    this.containerId = containerId;
    nftables =
        Map.of(
            TableFamily.IP, new NftablesDnatRules(TableFamily.IP, containerId, owner),
            TableFamily.IP6, new NftablesDnatRules(TableFamily.IP6, containerId, owner));
    iptables =
        Map.of(
            TableFamily.IP, new IptablesDnatRules(TableFamily.IP, network, containerId),
            TableFamily.IP6, new IptablesDnatRules(TableFamily.IP6, network, containerId));
  }

  static PortMapRules of(AttachmentRequest request) throws CniException {
    String network = request.config().network();
    return new PortMapRules(
        network,
        request.attachment().containerId(),
        RuleOwner.of(network, request.attachment().id()));
  }

  private NftablesDnatRules nftables(TableFamily family) {
    return nftables.getOrDefault(family, nftables.values().iterator().next());
  }

  private IptablesDnatRules iptables(TableFamily family) {
    return iptables.getOrDefault(family, iptables.values().iterator().next());
  }

  /**
   * Adds what is missing, for ADD.
   *
   * @throws CniException code 11 if another container has one of the ports
   */
  void add(RulesetReconciler reconciler, RuleBackend backend, PortMapState desired)
      throws CniException, IOException {
    for (Cidr address : desired.addresses()) {
      TableFamily family = TableFamily.of(address.address());
      requireNoConflict(reconciler, desired.config().mappings(family), family);
      if (backend == RuleBackend.IPTABLES) {
        iptables(family).add(reconciler, desired.config(), address);
      } else {
        nftables(family).add(reconciler, desired.config(), address);
      }
    }
  }

  /**
   * Makes the rules the desired ones.
   *
   * @param families the families that have an address now or shall have one
   */
  void update(
      RulesetReconciler reconciler,
      RuleBackend backend,
      List<TableFamily> families,
      PortMapState current,
      PortMapState desired)
      throws IOException {
    for (TableFamily family : families) {
      if (backend == RuleBackend.IPTABLES) {
        iptables(family).update(reconciler, current, desired);
      } else {
        nftables(family).update(reconciler, current, desired);
      }
    }
  }

  /** Returns why a desired state needs changes of what other containers share; empty if not. */
  Optional<String> sharedConditions(
      RulesetReconciler reconciler, List<TableFamily> families, PortMapState desired)
      throws IOException {
    for (TableFamily family : families) {
      Optional<String> shared = nftables(family).sharedConditions(reconciler, desired);
      if (shared.isPresent()) {
        return shared;
      }
    }
    return Optional.empty();
  }

  /**
   * Requires that no other container has a port of the mappings. Looks in the tables of both
   * backends, whichever the configuration selects.
   *
   * @throws CniException code 11 for the first conflict
   */
  void requireNoConflict(RulesetReconciler reconciler, List<HostPort> mappings, TableFamily family)
      throws CniException, IOException {
    if (mappings.isEmpty()) {
      return;
    }
    String ownComment = Userdata.truncateComment(containerId);
    Function<InstalledRule, Optional<String>> nftablesContainer =
        rule -> rule.rule().userdata().comment();
    PortConflicts.requireNoConflict(
        mappings,
        NftablesDnatRules.allMappings(reconciler, family).stream()
            .filter(rule -> nftablesContainer.apply(rule).filter(ownComment::equals).isEmpty())
            .toList(),
        nftablesContainer);
    iptables(family).requireNoConflict(reconciler, mappings, containerId);
  }

  /** Returns whether the tables of a backend have rules of the attachment. */
  boolean isInstalled(RulesetReconciler reconciler, RuleBackend backend, List<TableFamily> families)
      throws IOException {
    for (TableFamily family : families) {
      if (backend == RuleBackend.IPTABLES
          ? iptables(family).isInstalled(reconciler)
          : nftables(family).isInstalled(reconciler)) {
        return true;
      }
    }
    return false;
  }

  /** Returns whether rules of this project, in a table of it, are installed. */
  boolean haveOwner(RulesetReconciler reconciler, List<TableFamily> families) throws IOException {
    for (TableFamily family : families) {
      if (nftables(family).haveOwner(reconciler)) {
        return true;
      }
    }
    return false;
  }

  /** Returns whether a rule is the attachment's, so that no other container relies on it. */
  boolean isOwn(InstalledRule rule) {
    TableFamily family = rule.chain().family();
    return PortMapConfig.FAMILIES.contains(family)
        && (nftables(family).mayBelongToAttachment(rule) || iptables(family).isOwn(rule));
  }

  /** Removes the rules from the tables of a backend. */
  void delete(RulesetReconciler reconciler, RuleBackend backend) throws IOException {
    for (TableFamily family : PortMapConfig.FAMILIES) {
      if (backend == RuleBackend.IPTABLES) {
        iptables(family).delete(reconciler);
      } else {
        nftables(family).delete(reconciler);
      }
    }
  }

  /** Removes the rules of the tables of iptables-legacy. */
  void deleteLegacy(NetNsSession host) throws IOException {
    iptables(TableFamily.IP).deleteLegacy(host);
  }
}
