package cni.plugins.meta.firewall;

import cni.api.Cidr;
import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.InstalledChain;
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

  /** Adds the chains, jumps and rules that are missing. */
  void add(RulesetReconciler reconciler, ForwardChain forward) throws IOException {
    Chain forwardChain = forward.sibling(FORWARD_CHAIN);
    Chain admin = forward.sibling(adminChain);
    reconciler.ensure(forwardChain).ensure(admin).ensure(forward.chain());
    reconciler.insert(forward.chain(), jumpToForward(forward));
    reconciler.insert(forwardChain, jumpToAdmin(forward));
    for (Rule rule : acceptRules(forward)) {
      replaceAccept(reconciler, forwardChain, rule.withOwner(owner));
    }
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

  /** Returns the rules that CHECK requires in a base chain and its chain CNI-FORWARD. */
  List<InstalledRule> expectedRules(ForwardChain forward) {
    Chain forwardChain = forward.sibling(FORWARD_CHAIN);
    List<InstalledRule> expected = new ArrayList<>();
    expected.add(new InstalledRule(forward.chain(), 0, jumpToForward(forward)));
    expected.add(new InstalledRule(forwardChain, 0, jumpToAdmin(forward)));
    acceptRules(forward).forEach(rule -> expected.add(new InstalledRule(forwardChain, 0, rule)));
    return expected;
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
    for (InstalledChain installed : reconciler.chains()) {
      Chain chain = installed.chain();
      if (!chain.name().equals(FORWARD_CHAIN)) {
        continue;
      }
      boolean isIptables =
          chain.table().equals(ForwardChain.ofIptables(chain.family()).chain().table());
      var forward = new ForwardChain(chain, isIptables);
      for (InstalledRule rule : reconciler.rules(chain)) {
        if (filter.test(forward, rule.rule())) {
          reconciler.delete(rule);
        }
      }
    }
  }
}
