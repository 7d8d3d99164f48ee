// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import static cni.netlink.ffm.nftables.Expression.Compare.EQUAL;
import static cni.netlink.ffm.nftables.Expression.Compare.NOT_EQUAL;

import cni.api.AttachmentId;
import cni.api.Cidr;
import cni.api.InetAddresses;
import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.InstalledChain;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.IptablesRuleBuilder;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Masquerading in the {@code nat} tables of iptables: a chain for each container, as the iptables
 * backend of the reference plugins lays it out.
 */
final class IptablesMasquerade {
  private static final String PREFIX = "CNI-";
  private static final String POSTROUTING = "POSTROUTING";
  private static final Pattern CHAIN = Pattern.compile("CNI-[0-9a-f]{24}");

  private final NetNsSession host;
  private final String comment;
  private final String chain;

  IptablesMasquerade(NetNsSession host, String network, AttachmentId id) {
    this.host = host;
    this.comment = comment(network, id.containerId());
    this.chain =
        RuleOwner.hashedName(
            IptablesRuleBuilder.MAX_CHAIN_NAME_LENGTH, PREFIX, network + id.containerId());
  }

  private static String comment(String network, String containerId) {
    String text = "name: \"%s\" id: \"%s\"".formatted(network, containerId);
    return text.substring(0, Math.min(text.length(), IptablesRuleBuilder.MAX_COMMENT_LENGTH));
  }

  /**
   * Makes the rules of the current addresses those of the desired ones. Another attachment of the
   * container to this network has rules in the same chain, which stay.
   */
  void plan(RulesetReconciler change, List<Cidr> current, List<Cidr> desired) throws IOException {
    for (TableFamily family : List.of(TableFamily.IP, TableFamily.IP6)) {
      List<Cidr> wanted = select(desired, family);
      List<Cidr> obsolete =
          select(current, family).stream().filter(it -> !wanted.contains(it)).toList();
      if (!obsolete.isEmpty()) {
        deleteObsolete(change, nat(family), obsolete, wanted);
      }
      if (!wanted.isEmpty()) {
        ensureRules(change, nat(family), wanted);
      }
    }
  }

  private static List<Cidr> select(List<Cidr> addresses, TableFamily family) {
    return addresses.stream().filter(it -> family(it) == family).toList();
  }

  private void deleteObsolete(
      RulesetReconciler change, Table nat, List<Cidr> obsolete, List<Cidr> wanted)
      throws IOException {
    List<Rule> obsoleteJumps = obsolete.stream().map(this::jumpRule).toList();
    List<Rule> wantedJumps = wanted.stream().map(this::jumpRule).toList();
    boolean isShared = false;
    for (InstalledRule rule : change.rules(nat.chain(POSTROUTING))) {
      if (rule.rule().jumpsTo(chain)) {
        boolean isObsolete = isAnyOf(rule, obsoleteJumps);
        isShared |= !isObsolete && !isAnyOf(rule, wantedJumps);
        if (isObsolete) {
          change.delete(rule);
        }
      }
    }
    Chain own = nat.chain(chain);
    if (isShared) {
      return;
    }
    if (wanted.isEmpty()) {
      change.removeCalledFrom(List.of(nat.chain(POSTROUTING)), own);
      return;
    }
    List<Rule> accepted = wanted.stream().map(this::acceptRule).toList();
    List<Rule> obsoleteRules = obsolete.stream().map(this::acceptRule).toList();
    for (InstalledRule rule : change.rules(own)) {
      if (isAnyOf(rule, obsoleteRules) && !isAnyOf(rule, accepted)) {
        change.delete(rule);
      }
    }
  }

  private static boolean isAnyOf(InstalledRule installed, List<Rule> rules) {
    return rules.stream().anyMatch(it -> installed.rule().isEquivalentTo(it));
  }

  /** Adds missing rules. In the container's chain the masquerading has to be the last of them. */
  private void ensureRules(RulesetReconciler change, Table nat, List<Cidr> addresses)
      throws IOException {
    Chain own = nat.chain(chain);
    Chain postrouting = nat.chain(POSTROUTING);
    change.ensure(own).ensure(postrouting);
    for (Cidr address : addresses) {
      change.insert(own, acceptRule(address));
    }
    change.append(own, masqueradeRule(addresses.getFirst()));
    for (Cidr address : addresses) {
      change.append(postrouting, jumpRule(address));
    }
  }

  /** Returns whether there are rules of the container. */
  boolean isInstalled(RulesetReconciler change) throws IOException {
    return change.has(nat(TableFamily.IP).chain(chain))
        || change.has(nat(TableFamily.IP6).chain(chain));
  }

  /** Returns whether a rule is the container's. */
  boolean isOwn(InstalledRule rule) {
    return isNat(rule.chain().table())
        && (rule.chain().name().equals(chain) || rule.rule().jumpsTo(chain));
  }

  /** Accepts, without translation, packets that stay in the network. */
  private Rule acceptRule(Cidr address) {
    Cidr net = address.network();
    return IptablesRuleBuilder.forFamily(family(address))
        .destination(EQUAL, net.address(), net.prefix())
        .comment(comment)
        .verdict(Verdict.ACCEPT);
  }

  /** Masquerades the rest, except multicast. */
  private Rule masqueradeRule(Cidr address) {
    Cidr multicast = Cidr.parse(address.isV4() ? "224.0.0.0/4" : "ff00::/8");
    return IptablesRuleBuilder.forFamily(family(address))
        .destination(NOT_EQUAL, multicast.address(), multicast.prefix())
        .comment(comment)
        .masquerade();
  }

  /** Sends the container's packets to its chain. */
  private Rule jumpRule(Cidr address) {
    return IptablesRuleBuilder.forFamily(family(address))
        .source(EQUAL, address.address(), InetAddresses.bits(address.address()))
        .comment(comment)
        .verdict(Verdict.jump(chain));
  }

  void delete(RulesetReconciler change) throws IOException {
    for (TableFamily family : List.of(TableFamily.IP, TableFamily.IP6)) {
      change.removeCalledFrom(List.of(nat(family).chain(POSTROUTING)), nat(family).chain(chain));
    }
  }

  /** Removes the chain from the tables of legacy iptables. */
  void deleteLegacy() throws IOException {
    LegacyIptables.SYSTEM.removeChains(host, "nat", rules -> Set.of(chain));
  }

  /** Removes the network's chains of containers without a valid attachment. */
  static void gc(RulesetReconciler change, String network, Set<AttachmentId> valid)
      throws IOException {
    Predicate<String> stale = RuleOwner.staleContainer(IptablesMasquerade::comment, network, valid);
    for (TableFamily family : List.of(TableFamily.IP, TableFamily.IP6)) {
      change.rules(nat(family)); // the rules of many chains are needed
    }
    for (InstalledChain installed : change.chains()) {
      Chain chain = installed.chain();
      if (isNat(chain.table())
          && CHAIN.matcher(chain.name()).matches()
          && change.rules(chain).stream()
              .anyMatch(it -> IptablesRuleBuilder.commentOf(it.rule()).filter(stale).isPresent())) {
        change.remove(chain);
      }
    }
  }

  /** Removes such chains from the tables of legacy iptables. */
  static void gcLegacy(NetNsSession host, String network, Set<AttachmentId> valid)
      throws IOException {
    Predicate<String> stale = RuleOwner.staleContainer(IptablesMasquerade::comment, network, valid);
    LegacyIptables.SYSTEM.removeChains(
        host,
        "nat",
        rules ->
            rules.stream()
                .filter(rule -> CHAIN.matcher(rule.chain()).matches())
                .filter(rule -> rule.value("--comment").filter(stale).isPresent())
                .map(LegacyIptables.LegacyRule::chain)
                .collect(Collectors.toUnmodifiableSet()));
  }

  private static boolean isNat(Table table) {
    return table.equals(nat(TableFamily.IP)) || table.equals(nat(TableFamily.IP6));
  }

  private static Table nat(TableFamily family) {
    return new Table(family, "nat");
  }

  private static TableFamily family(Cidr address) {
    return TableFamily.of(address.address());
  }
}
