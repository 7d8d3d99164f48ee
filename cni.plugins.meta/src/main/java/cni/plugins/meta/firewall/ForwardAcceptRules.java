package cni.plugins.meta.firewall;

import cni.api.InetAddresses;
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
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * The rules that let an attachment's packets pass through the host: what it sends, and what answers
 * that. They are in the chain {@code CNI-FORWARD}, to which the deciding chain goes first, after
 * those of a chain that is the administrator's; names and rules are the reference plugin's.
 *
 * @param addresses those of the attachment
 * @param owner the attachment
 * @param adminChain the administrator's chain
 */
record ForwardAcceptRules(List<InetAddress> addresses, String owner, String adminChain) {
  private static final String FORWARD_CHAIN = "CNI-FORWARD";
  private static final String COMMENT = "CNI firewall plugin rules";
  private static final String ADMIN_COMMENT = "CNI firewall plugin admin overrides";

  /** Takes a copy of the list. */
  ForwardAcceptRules {
    addresses = List.copyOf(addresses);
  }

  /** The deciding chains that the attachment's packets come through. */
  List<ForwardChain> chains(RulesetReconciler change, FirewallConfig.Backend backend)
      throws IOException {
    List<ForwardChain> chains = new ArrayList<>();
    if (backend != FirewallConfig.Backend.NFTABLES) {
      chains.add(ForwardChain.ofIptables(TableFamily.IP));
      chains.add(ForwardChain.ofIptables(TableFamily.IP6));
    }
    if (backend != FirewallConfig.Backend.IPTABLES) {
      chains.addAll(ForwardChain.findDropping(change));
    }
    chains.removeIf(chain -> addresses.stream().noneMatch(chain::carries));
    return chains;
  }

  /** Adds what is missing. */
  void add(RulesetReconciler change, ForwardChain forward) throws IOException {
    Chain own = forward.sibling(FORWARD_CHAIN);
    Chain admin = forward.sibling(adminChain);
    change.ensure(own).ensure(admin).ensure(forward.chain());
    change.insert(forward.chain(), jumpToForward(forward));
    change.insert(own, jumpToAdmin(forward));
    for (Rule rule : acceptRules(forward)) {
      replaceAccept(change, own, rule.withOwner(owner));
    }
  }

  /**
   * Adds a rule in place of any for the same address: that has been another attachment's, and would
   * go when what is left of it is removed.
   */
  private static void replaceAccept(RulesetReconciler change, Chain own, Rule wanted)
      throws IOException {
    boolean there = false;
    for (InstalledRule rule : change.rules(own)) {
      if (rule.rule().equals(wanted)) {
        there = true;
      } else if (rule.rule().isEquivalentTo(wanted)) {
        change.delete(rule);
      }
    }
    if (!there) {
      change.transaction().append(own, wanted);
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

  /** The rules that there should be. */
  List<InstalledRule> expectedRules(ForwardChain forward) {
    Chain own = forward.sibling(FORWARD_CHAIN);
    List<InstalledRule> wanted = new ArrayList<>();
    wanted.add(new InstalledRule(forward.chain(), 0, jumpToForward(forward)));
    wanted.add(new InstalledRule(own, 0, jumpToAdmin(forward)));
    acceptRules(forward).forEach(rule -> wanted.add(new InstalledRule(own, 0, rule)));
    return wanted;
  }

  /**
   * Removes the attachment's rules, wherever they are. The reference writes no owner on them; those
   * are known by their address.
   */
  void delete(RulesetReconciler change) throws IOException {
    deleteIf(
        change,
        (forward, rule) -> {
          Optional<String> itsOwner = rule.userdata().owner();
          return itsOwner.isPresent()
              ? itsOwner.get().equals(owner)
              : acceptRules(forward).stream().anyMatch(rule::isEquivalentTo);
        });
  }

  /** Removes the attachment's rules from the tables of the legacy variant of iptables. */
  void deleteLegacy(NetNsSession host) throws IOException {
    Set<String> nets =
        addresses.stream()
            .map(address -> InetAddresses.format(address) + "/" + InetAddresses.bits(address))
            .collect(Collectors.toUnmodifiableSet());
    LegacyIptables.SYSTEM.removeRules(
        host,
        "filter",
        rule ->
            rule.chain().equals(FORWARD_CHAIN)
                && rule.target().filter("ACCEPT"::equals).isPresent()
                && rule.value("-s").or(() -> rule.value("-d")).filter(nets::contains).isPresent());
  }

  /** Removes the rules of attachments that are not valid. */
  static void deleteStale(RulesetReconciler change, Predicate<String> stale) throws IOException {
    deleteIf(change, (forward, rule) -> rule.userdata().owner().filter(stale).isPresent());
  }

  private interface RuleFilter {
    boolean holds(ForwardChain forward, Rule rule);
  }

  private static void deleteIf(RulesetReconciler change, RuleFilter condition) throws IOException {
    for (InstalledChain listed : change.chains()) {
      Chain chain = listed.chain();
      if (!chain.name().equals(FORWARD_CHAIN)) {
        continue;
      }
      boolean iptables =
          chain.table().equals(ForwardChain.ofIptables(chain.family()).chain().table());
      var forward = new ForwardChain(chain, iptables);
      for (InstalledRule rule : change.rules(chain)) {
        if (condition.holds(forward, rule.rule())) {
          change.delete(rule);
        }
      }
    }
  }
}
