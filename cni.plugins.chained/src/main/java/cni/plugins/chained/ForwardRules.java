package cni.plugins.chained;

import cni.api.Ip;
import cni.netlink.ffm.netfilter.Chain;
import cni.netlink.ffm.netfilter.Expression.Verdict;
import cni.netlink.ffm.netfilter.Family;
import cni.netlink.ffm.netfilter.ListedChain;
import cni.netlink.ffm.netfilter.ListedRule;
import cni.netlink.ffm.netfilter.Rule;
import cni.netlink.ffm.netfilter.RulesetChange;
import cni.sandbox.LegacyIptables;
import cni.sandbox.Namespace;
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
record ForwardRules(List<InetAddress> addresses, String owner, String adminChain) {
  private static final String CHAIN = "CNI-FORWARD";
  private static final String COMMENT = "CNI firewall plugin rules";
  private static final String ADMIN_COMMENT = "CNI firewall plugin admin overrides";

  /** Takes a copy of the list. */
  ForwardRules {
    addresses = List.copyOf(addresses);
  }

  /** The deciding chains that the attachment's packets come through. */
  List<ForwardChain> chains(RulesetChange change, FirewallConfig.Backend backend)
      throws IOException {
    List<ForwardChain> chains = new ArrayList<>();
    if (backend != FirewallConfig.Backend.NFTABLES) {
      chains.add(ForwardChain.ofIptables(Family.IP));
      chains.add(ForwardChain.ofIptables(Family.IP6));
    }
    if (backend != FirewallConfig.Backend.IPTABLES) {
      chains.addAll(ForwardChain.ofOthers(change));
    }
    chains.removeIf(chain -> addresses.stream().noneMatch(chain::sees));
    return chains;
  }

  /** Adds what is missing. */
  void add(RulesetChange change, ForwardChain forward) throws IOException {
    Chain own = forward.sibling(CHAIN);
    Chain admin = forward.sibling(adminChain);
    change.ensure(own).ensure(admin).ensure(forward.chain());
    change.insert(forward.chain(), enter(forward));
    change.insert(own, enterAdmin(forward));
    for (Rule rule : rules(forward)) {
      accept(change, own, rule.ownedBy(owner));
    }
  }

  /**
   * Adds a rule in place of any for the same address: that has been another attachment's, and would
   * go when what is left of it is removed.
   */
  private static void accept(RulesetChange change, Chain own, Rule wanted) throws IOException {
    boolean there = false;
    for (ListedRule rule : change.rules(own)) {
      if (rule.rule().equals(wanted)) {
        there = true;
      } else if (rule.rule().doesSameAs(wanted)) {
        change.delete(rule);
      }
    }
    if (!there) {
      change.transaction().append(own, wanted);
    }
  }

  private static Rule enter(ForwardChain forward) {
    return forward.always(COMMENT, Verdict.jump(CHAIN));
  }

  private Rule enterAdmin(ForwardChain forward) {
    return forward.always(ADMIN_COMMENT, Verdict.jump(adminChain));
  }

  private List<Rule> rules(ForwardChain forward) {
    List<Rule> rules = new ArrayList<>();
    for (InetAddress address : addresses) {
      if (forward.sees(address)) {
        rules.add(forward.acceptAnswers(address));
        rules.add(forward.acceptFrom(address));
      }
    }
    return rules;
  }

  /** The rules that there should be. */
  List<ListedRule> wanted(ForwardChain forward) {
    Chain own = forward.sibling(CHAIN);
    List<ListedRule> wanted = new ArrayList<>();
    wanted.add(new ListedRule(forward.chain(), 0, enter(forward)));
    wanted.add(new ListedRule(own, 0, enterAdmin(forward)));
    rules(forward).forEach(rule -> wanted.add(new ListedRule(own, 0, rule)));
    return wanted;
  }

  /**
   * Removes the attachment's rules, wherever they are. The reference writes no owner on them; those
   * are known by their address.
   */
  void delete(RulesetChange change) throws IOException {
    deleteIf(
        change,
        (forward, rule) -> {
          Optional<String> itsOwner = rule.userdata().owner();
          return itsOwner.isPresent()
              ? itsOwner.get().equals(owner)
              : rules(forward).stream().anyMatch(rule::doesSameAs);
        });
  }

  /** Removes the attachment's rules from the tables of the legacy variant of iptables. */
  void deleteLegacy(Namespace host) throws IOException {
    Set<String> nets =
        addresses.stream()
            .map(address -> Ip.format(address) + "/" + Ip.bits(address))
            .collect(Collectors.toUnmodifiableSet());
    LegacyIptables.SYSTEM.removeRules(
        host,
        "filter",
        rule ->
            rule.chain().equals(CHAIN)
                && rule.target().filter("ACCEPT"::equals).isPresent()
                && rule.value("-s").or(() -> rule.value("-d")).filter(nets::contains).isPresent());
  }

  /** Removes the rules of attachments that are not valid. */
  static void collect(RulesetChange change, Predicate<String> stale) throws IOException {
    deleteIf(change, (forward, rule) -> rule.userdata().owner().filter(stale).isPresent());
  }

  private interface Condition {
    boolean holds(ForwardChain forward, Rule rule);
  }

  private static void deleteIf(RulesetChange change, Condition condition) throws IOException {
    for (ListedChain listed : change.chains()) {
      Chain chain = listed.chain();
      if (!chain.name().equals(CHAIN)) {
        continue;
      }
      boolean iptables =
          chain.table().equals(ForwardChain.ofIptables(chain.family()).chain().table());
      var forward = new ForwardChain(chain, iptables);
      for (ListedRule rule : change.rules(chain)) {
        if (condition.holds(forward, rule.rule())) {
          change.delete(rule);
        }
      }
    }
  }
}
