// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.netlink.ffm.nftables.Expression;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.Hook;
import cni.netlink.ffm.nftables.InstalledChain;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.route.IpFamily;
import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Whether a base chain drops forwarded packets unless a rule accepts them, and whether its table
 * has a rule that may accept those of an address. A rule that is not understood, such as one with a
 * set, counts as one that may accept them, so that no finding is reported in doubt.
 *
 * @param chain the chain
 * @param rules the rules of its table
 */
record ForwardVerdict(InstalledChain chain, List<InstalledRule> rules) {
  /** Tables of this project and of the reference plugins: what they drop is meant to be dropped. */
  private static final String OWN_TABLES = "cni_";

  static ForwardVerdict of(InstalledChain chain, HostKernel kernel) throws IOException {
    return new ForwardVerdict(chain, kernel.rules(chain.chain().table()));
  }

  /** Returns whether a chain filters forwarded packets and is in a table of another program. */
  static boolean filtersForwarded(InstalledChain chain) {
    Set<TableFamily> families = Set.of(TableFamily.INET, TableFamily.IP, TableFamily.IP6);
    return chain
            .hook()
            .filter(hook -> hook.point() == Hook.FORWARD && hook.type().equals("filter"))
            .isPresent()
        && families.contains(chain.chain().family())
        && !chain.chain().table().name().startsWith(OWN_TABLES);
  }

  /** Returns whether the chain sees the packets of a family. */
  boolean covers(IpFamily family) {
    TableFamily own = chain.chain().family();
    return own == TableFamily.INET || own == TableFamily.of(family);
  }

  /** Returns whether packets that no rule accepts are dropped. */
  boolean dropsByDefault() {
    if (chain.dropsByDefault()) {
      return true;
    }
    List<InstalledRule> own =
        rules.stream().filter(it -> it.chain().equals(chain.chain())).toList();
    return !own.isEmpty() && dropsAll(own.getLast().rule());
  }

  private static boolean dropsAll(Rule rule) {
    List<Expression> effective =
        rule.expressions().stream().filter(it -> !(it instanceof Expression.Counter)).toList();
    return effective.size() == 1
        && (effective.getFirst().equals(Verdict.DROP)
            || effective.getFirst() instanceof Expression.Reject);
  }

  /** Returns how nft shows what drops. */
  String evidence() {
    return "nft list chain %s: %s"
        .formatted(
            chain.chain(), chain.dropsByDefault() ? "policy drop" : "its last rule drops the rest");
  }

  /** Returns the rule that drops packets before another may accept them; absent if none does. */
  Optional<InstalledRule> earlyDrop(ForwardedPackets packets) {
    return EarlyDrop.find(rules, chain.chain().name(), packets);
  }

  /** Returns whether a rule may accept packets. */
  boolean mayAccept(ForwardedPackets packets) {
    var conditions = new RuleConditions(packets);
    Set<String> reachable = reachableChains();
    return rules.stream()
        .filter(it -> reachable.contains(it.chain().name()))
        .map(InstalledRule::rule)
        .filter(rule -> rule.verdict().filter(Verdict.ACCEPT::equals).isPresent())
        .anyMatch(rule -> conditions.mayMatch(rule.expressions()));
  }

  /** Returns the names of the chains that packets may get to by jumps, this one included. */
  private Set<String> reachableChains() {
    Set<String> reached = new HashSet<>(Set.of(chain.chain().name()));
    boolean isGrowing = true;
    while (isGrowing) {
      isGrowing = false;
      for (InstalledRule it : rules) {
        if (reached.contains(it.chain().name())) {
          isGrowing |= reached.addAll(targets(it.rule()));
        }
      }
    }
    return reached;
  }

  /** A map of verdicts, whose elements a listed rule does not have, may lead to any chain. */
  private Set<String> targets(Rule rule) {
    if (rule.expressions().stream().anyMatch(Expression.VerdictLookup.class::isInstance)) {
      return rules.stream().map(it -> it.chain().name()).collect(Collectors.toSet());
    }
    return rule.verdict()
        .map(Verdict::chain)
        .filter(it -> !it.isEmpty())
        .map(Set::of)
        .orElse(Set.of());
  }

  /** Returns whether packets get to the administrator's chain of the plugin firewall. */
  boolean leadsTo(String adminChain) {
    return rules.stream().anyMatch(it -> it.rule().jumpsTo(adminChain))
        && reachableChains().contains(adminChain);
  }
}
