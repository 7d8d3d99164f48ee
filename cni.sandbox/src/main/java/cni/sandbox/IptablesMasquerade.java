package cni.sandbox;

import static cni.netlink.ffm.netfilter.Expression.Compare.EQUAL;
import static cni.netlink.ffm.netfilter.Expression.Compare.NOT_EQUAL;

import cni.api.AttachmentId;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Ip;
import cni.netlink.ffm.netfilter.Chain;
import cni.netlink.ffm.netfilter.Expression.Verdict;
import cni.netlink.ffm.netfilter.Family;
import cni.netlink.ffm.netfilter.IptablesRule;
import cni.netlink.ffm.netfilter.ListedChain;
import cni.netlink.ffm.netfilter.ListedRule;
import cni.netlink.ffm.netfilter.Rule;
import cni.netlink.ffm.netfilter.RulesetChange;
import cni.netlink.ffm.netfilter.Table;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Masquerading in the {@code nat} tables that iptables keeps: a chain for each container, as the
 * reference plugins' iptables backend makes it.
 */
final class IptablesMasquerade {
  private static final String PREFIX = "CNI-";
  private static final Pattern CHAIN = Pattern.compile("CNI-[0-9a-f]{24}");
  private static final Pattern COMMENT = Pattern.compile("name: \"(.*)\" id: \"(.*)\"");

  private final Namespace host;
  private final String comment;
  private final String chain;

  IptablesMasquerade(Namespace host, String network, AttachmentId id) {
    this.host = host;
    this.comment = "name: \"%s\" id: \"%s\"".formatted(network, id.containerId());
    this.chain = RuleOwner.hashed(IptablesRule.LONGEST_CHAIN, PREFIX, network + id.containerId());
  }

  void add(List<Cidr> addresses) throws IOException {
    host.nftables()
        .update(
            there -> {
              var change = new RulesetChange(there);
              for (Cidr address : addresses) {
                Chain own = nat(address).chain(chain);
                Chain postrouting = nat(address).chain("POSTROUTING");
                change.ensure(own).ensure(postrouting);
                change.append(own, stay(address)).append(own, leave(address));
                change.append(postrouting, enter(address));
              }
              return change.transaction();
            });
  }

  /** What stays in the network is not translated. */
  private Rule stay(Cidr address) {
    Cidr net = address.network();
    return IptablesRule.in(family(address))
        .destination(EQUAL, net.address(), net.prefix())
        .comment(comment)
        .then(Verdict.ACCEPT);
  }

  /** Multicast neither. */
  private Rule leave(Cidr address) {
    Cidr multicast = Cidr.parse(address.isV4() ? "224.0.0.0/4" : "ff00::/8");
    return IptablesRule.in(family(address))
        .destination(NOT_EQUAL, multicast.address(), multicast.prefix())
        .comment(comment)
        .masquerade();
  }

  private Rule enter(Cidr address) {
    return IptablesRule.in(family(address))
        .source(EQUAL, address.address(), Ip.bits(address.address()))
        .comment(comment)
        .then(Verdict.jump(chain));
  }

  void check(List<Cidr> addresses) throws IOException, CniException {
    for (Cidr address : addresses) {
      List<ListedRule> there = host.nftables().rules(nat(address));
      for (Rule wanted : List.of(stay(address), leave(address), enter(address))) {
        Masquerade.require(
            there.stream().anyMatch(it -> it.rule().doesSameAs(wanted)),
            "address %s is not masqueraded: a rule of chain %s is missing from table \"%s\""
                .formatted(address, chain, nat(address)));
      }
    }
  }

  void delete(RulesetChange change) throws IOException {
    for (Family family : List.of(Family.IP, Family.IP6)) {
      change.remove(nat(family).chain(chain));
    }
  }

  /** Deletes it from the tables of the legacy variant of iptables. */
  void deleteLegacy() throws IOException {
    LegacyIptables.SYSTEM.removeChains(host, "nat", rules -> Set.of(chain));
  }

  /** Removes the chains of containers that are not valid on the network. */
  static void collect(RulesetChange change, String network, Set<AttachmentId> valid)
      throws IOException {
    Predicate<String> stale = RuleOwner.staleContainer(COMMENT, network, valid);
    for (ListedChain listed : change.chains()) {
      Chain chain = listed.chain();
      if (isNat(chain.table())
          && CHAIN.matcher(chain.name()).matches()
          && change.rules(chain).stream()
              .anyMatch(it -> IptablesRule.commentOf(it.rule()).filter(stale).isPresent())) {
        change.remove(chain);
      }
    }
  }

  /** Removes such chains from the tables of the legacy variant of iptables. */
  static void collectLegacy(Namespace host, String network, Set<AttachmentId> valid)
      throws IOException {
    Predicate<String> stale = RuleOwner.staleContainer(COMMENT, network, valid);
    LegacyIptables.SYSTEM.removeChains(
        host,
        "nat",
        rules ->
            rules.stream()
                .filter(rule -> CHAIN.matcher(rule.chain()).matches())
                .filter(rule -> rule.value("--comment").filter(stale).isPresent())
                .map(LegacyIptables.Rule::chain)
                .collect(Collectors.toUnmodifiableSet()));
  }

  private static boolean isNat(Table table) {
    return table.equals(nat(Family.IP)) || table.equals(nat(Family.IP6));
  }

  private static Table nat(Cidr address) {
    return nat(family(address));
  }

  private static Table nat(Family family) {
    return new Table(family, "nat");
  }

  private static Family family(Cidr address) {
    return IptablesRule.familyOf(address.address());
  }
}
