// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.firewall;

import cni.api.Cidr;
import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.TableFamily;
import cni.plugins.support.LegacyIptables;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiPredicate;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * The rules that accept an attachment's forwarded packets: everything from its addresses, and
 * replies to them. They are in the chain {@code CNI-FORWARD}, to which the base chain jumps first,
 * after a jump to the administrator's chain. Names and rules are those of the reference plugin.
 *
 * @param addresses the attachment's addresses
 * @param owner the attachment, written into the user data of its rules
 * @param adminChain the name of the administrator's chain
 */
record ForwardAcceptRules(List<InetAddress> addresses, String owner, String adminChain) {
  private static final String FORWARD_CHAIN = "CNI-FORWARD";
  private static final String COMMENT = "CNI firewall plugin rules";
  private static final String ADMIN_COMMENT = "CNI firewall plugin admin overrides";

  /** Copies the list. */
  ForwardAcceptRules {
    addresses = List.copyOf(addresses);
  }

  /** Returns the base chains that the attachment's packets pass and that the backend covers. */
  List<ForwardChain> chains(RulesetReconciler reconciler, FirewallConfig.Backend backend)
      throws IOException {
    List<ForwardChain> chains = new ArrayList<>();
    if (backend != FirewallConfig.Backend.NFTABLES) {
      chains.add(ForwardChain.ofIptables(TableFamily.IP));
      chains.add(ForwardChain.ofIptables(TableFamily.IP6));
    }
    if (backend != FirewallConfig.Backend.IPTABLES) {
      chains.addAll(ForwardChain.findDropping(reconciler));
    }
    chains.removeIf(chain -> addresses.stream().noneMatch(chain::carries));
    return chains;
  }

  /** Adds the chains, jumps and rules that are missing, for ADD. */
  void add(RulesetReconciler reconciler, ForwardChain forward) throws IOException {
    addChains(reconciler, forward);
    for (Rule rule : acceptRules(forward)) {
      replaceAccept(reconciler, forward.sibling(FORWARD_CHAIN), rule.withOwner(owner));
    }
  }

  /** The isolation rules have to stay before the jump: the container's rules would accept first. */
  private void addChains(RulesetReconciler reconciler, ForwardChain forward) throws IOException {
    Chain forwardChain = forward.sibling(FORWARD_CHAIN);
    Chain admin = forward.sibling(adminChain);
    reconciler.ensure(forwardChain).ensure(admin).ensure(forward.chain());
    Optional<InstalledRule> isolation =
        reconciler.rules(forward.chain()).stream()
            .filter(rule -> IngressPolicyRules.isJump(rule.rule()))
            .reduce((first, second) -> second);
    reconciler.insertAfter(isolation, forward.chain(), jumpToForward(forward));
    reconciler.insert(forwardChain, jumpToAdmin(forward));
  }

  /**
   * Makes the rules the desired ones, except that {@link #deleteObsolete} deletes those that are
   * not needed elsewhere. Rules of the reference plugin, which have no owner, stay.
   *
   * @param current the rules of the current state; this for CHECK and repair
   */
  void update(RulesetReconciler reconciler, ForwardChain forward, ForwardAcceptRules current)
      throws IOException {
    addChains(reconciler, forward);
    Chain forwardChain = forward.sibling(FORWARD_CHAIN);
    List<Rule> wanted = acceptRules(forward);
    for (Rule rule : wanted) {
      List<InstalledRule> equivalent =
          reconciler.rules(forwardChain).stream()
              .filter(installed -> installed.rule().isEquivalentTo(rule))
              .toList();
      List<InstalledRule> ofOthers = equivalent.stream().filter(this::isOfOther).toList();
      boolean isPresent = equals(current) ? !equivalent.isEmpty() : hasOwn(equivalent);
      if (!isPresent) { // those of others are of a former holder of the address
        ofOthers.forEach(reconciler::delete);
        reconciler.add(forwardChain, rule.withOwner(owner));
      }
    }
    deleteSurplus(reconciler, forward, current, wanted);
    boolean isAlone = reconciler.rules(forwardChain).stream().noneMatch(this::isOfOther);
    if (!current.adminChain.equals(adminChain) && isAlone) {
      reconciler.rules(forwardChain).stream()
          .filter(rule -> rule.rule().isEquivalentTo(current.jumpToAdmin(forward)))
          .forEach(reconciler::delete);
    }
  }

  /** Returns whether a rule is another attachment's. */
  private boolean isOfOther(InstalledRule rule) {
    return rule.rule().userdata().owner().filter(it -> !it.equals(owner)).isPresent();
  }

  private boolean hasOwn(List<InstalledRule> rules) {
    return rules.stream().anyMatch(rule -> !isOfOther(rule));
  }

  private boolean isOwned(Rule rule) {
    return rule.userdata().owner().filter(owner::equals).isPresent();
  }

  /**
   * Deletes the attachment's rules that are not wanted: its own, and current ones without owner.
   */
  private void deleteSurplus(
      RulesetReconciler reconciler,
      ForwardChain forward,
      ForwardAcceptRules current,
      List<Rule> wanted)
      throws IOException {
    List<Rule> unowned = equals(current) ? List.of() : current.acceptRules(forward);
    for (InstalledRule installed : reconciler.rules(forward.sibling(FORWARD_CHAIN))) {
      Rule rule = installed.rule();
      boolean isOurs =
          isOwned(rule)
              || (rule.userdata().owner().isEmpty()
                  && unowned.stream().anyMatch(rule::isEquivalentTo));
      if (isOurs && wanted.stream().noneMatch(rule::isEquivalentTo)) {
        reconciler.delete(installed);
      }
    }
  }

  /** Deletes the attachment's rules from all tables but those of the given chains. */
  void deleteObsolete(
      RulesetReconciler reconciler, List<ForwardChain> used, ForwardAcceptRules current)
      throws IOException {
    for (ForwardChain forward : forwardChains(reconciler)) {
      if (used.stream().noneMatch(it -> it.chain().table().equals(forward.chain().table()))) {
        deleteSurplus(reconciler, forward, current, List.of());
      }
    }
  }

  /**
   * Returns whether rules of other networks accept packets of one of the container's networks: of
   * containers that most likely are on the same bridge.
   */
  boolean areNetworksShared(RulesetReconciler reconciler, List<Cidr> networks) throws IOException {
    String network = owner.substring(0, owner.indexOf('-') + 1);
    for (ForwardChain forward : forwardChains(reconciler)) {
      for (InstalledRule rule : reconciler.rules(forward.sibling(FORWARD_CHAIN))) {
        boolean isOfOtherNetwork =
            rule.rule().userdata().owner().filter(it -> !it.startsWith(network)).isPresent();
        if (isOfOtherNetwork && networks.stream().anyMatch(it -> accepts(rule.rule(), it))) {
          return true;
        }
      }
    }
    return false;
  }

  private static boolean accepts(Rule rule, Cidr network) {
    return ForwardChain.addressOf(rule).filter(network::contains).isPresent();
  }

  /**
   * Adds an accept rule unless it is installed, and deletes those of other attachments for the same
   * address. Such a rule belongs to a former holder of the address: it would accept the packets as
   * well, but only until the former holder is garbage-collected.
   */
  private static void replaceAccept(RulesetReconciler reconciler, Chain forwardChain, Rule rule)
      throws IOException {
    boolean isInstalled = false;
    for (InstalledRule installed : reconciler.rules(forwardChain)) {
      if (installed.rule().equals(rule)) {
        isInstalled = true;
      } else if (installed.rule().isEquivalentTo(rule)) {
        reconciler.delete(installed);
      }
    }
    if (!isInstalled) {
      reconciler.transaction().append(forwardChain, rule);
    }
  }

  private static Rule jumpToForward(ForwardChain forward) {
    return forward.unconditionalRule(COMMENT, Verdict.jump(FORWARD_CHAIN));
  }

  private Rule jumpToAdmin(ForwardChain forward) {
    return forward.unconditionalRule(ADMIN_COMMENT, Verdict.jump(adminChain));
  }

  private List<Rule> acceptRules(ForwardChain forward) {
    List<Rule> rules = new ArrayList<>();
    for (InetAddress address : addresses) {
      if (forward.carries(address)) {
        rules.add(forward.acceptRepliesTo(address));
        rules.add(forward.acceptFrom(address));
      }
    }
    return rules;
  }

  /**
   * Removes the attachment's rules from all tables. Rules of the reference plugin have no owner and
   * are recognized by their address.
   */
  void delete(RulesetReconciler reconciler) throws IOException {
    deleteIf(
        reconciler,
        (forward, rule) -> {
          Optional<String> ruleOwner = rule.userdata().owner();
          return ruleOwner.isPresent()
              ? ruleOwner.get().equals(owner)
              : acceptRules(forward).stream().anyMatch(rule::isEquivalentTo);
        });
  }

  /** Removes the attachment's rules from the tables of iptables-legacy. */
  void deleteLegacy(NetNsSession host) throws IOException {
    Set<String> networks =
        addresses.stream()
            .map(address -> Cidr.ofHost(address).toString())
            .collect(Collectors.toUnmodifiableSet());
    LegacyIptables.SYSTEM.removeRules(
        host,
        "filter",
        rule ->
            rule.chain().equals(FORWARD_CHAIN)
                && rule.target().filter("ACCEPT"::equals).isPresent()
                && rule.value("-s")
                    .or(() -> rule.value("-d"))
                    .filter(networks::contains)
                    .isPresent());
  }

  /** Removes the rules of all attachments that a predicate for owners selects. */
  static void deleteStale(RulesetReconciler reconciler, Predicate<String> isStale)
      throws IOException {
    deleteIf(reconciler, (forward, rule) -> rule.userdata().owner().filter(isStale).isPresent());
  }

  private static void deleteIf(RulesetReconciler reconciler, BiPredicate<ForwardChain, Rule> filter)
      throws IOException {
    for (ForwardChain forward : forwardChains(reconciler)) {
      for (InstalledRule rule : reconciler.rules(forward.chain())) {
        if (filter.test(forward, rule.rule())) {
          reconciler.delete(rule);
        }
      }
    }
  }

  /**
   * Returns the chains CNI-FORWARD of all tables, which may not exist. The chains are not listed: a
   * table of iptables has several for each container.
   */
  private static List<ForwardChain> forwardChains(RulesetReconciler reconciler) throws IOException {
    return reconciler.tables().stream()
        .filter(table -> ForwardChain.FAMILIES.contains(table.family()))
        .map(
            table ->
                new ForwardChain(
                    table.chain(FORWARD_CHAIN),
                    table.equals(ForwardChain.ofIptables(table.family()).chain().table())))
        .toList();
  }
}
