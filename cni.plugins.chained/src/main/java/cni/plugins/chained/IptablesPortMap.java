package cni.plugins.chained;

import static cni.netlink.ffm.netfilter.Expression.Compare.EQUAL;

import cni.api.AttachmentId;
import cni.api.Cidr;
import cni.netlink.ffm.netfilter.Chain;
import cni.netlink.ffm.netfilter.Expression.Verdict;
import cni.netlink.ffm.netfilter.Family;
import cni.netlink.ffm.netfilter.IptablesRule;
import cni.netlink.ffm.netfilter.ListedRule;
import cni.netlink.ffm.netfilter.Rule;
import cni.netlink.ffm.netfilter.RulesetChange;
import cni.netlink.ffm.netfilter.Table;
import cni.sandbox.LegacyIptables;
import cni.sandbox.Namespace;
import cni.sandbox.RuleOwner;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * The rules of port mappings in one family's {@code nat} table that iptables keeps, those of the
 * reference plugin's iptables backend: a chain for each container, and one that leads to them by
 * port.
 */
final class IptablesPortMap {
  private static final int LONGEST_COMMENT = 255;
  private static final String DNAT = "CNI-HOSTPORT-DNAT";
  private static final String SET_MARK = "CNI-HOSTPORT-SETMARK";
  private static final String MASQUERADE = "CNI-HOSTPORT-MASQ";
  private static final Pattern COMMENT = Pattern.compile("dnat name: \"(.*)\" id: \"(.*)\"");

  private final boolean v4;
  private final Table nat;
  private final Chain own;
  private final Chain old;
  private final String comment;

  /** Those of IPv4 or IPv6, of a container on a network. */
  IptablesPortMap(boolean v4, String network, String container) {
    this.v4 = v4;
    nat = nat(v4);
    own = nat.chain(RuleOwner.hashed(IptablesRule.LONGEST_CHAIN, "CNI-DN-", network + container));
    old = nat.chain(RuleOwner.hashed(IptablesRule.LONGEST_CHAIN, "CNI-SN-", network + container));
    String text = "dnat name: \"%s\" id: \"%s\"".formatted(network, container);
    comment =
        text.length() <= LONGEST_COMMENT ? text : text.substring(0, LONGEST_COMMENT - 2) + "...";
  }

  private static Table nat(boolean v4) {
    return new Table(v4 ? Family.IP : Family.IP6, "nat");
  }

  private IptablesRule rule() {
    return IptablesRule.in(nat.family());
  }

  /** The rules that all containers share, before those of this one. */
  void add(RulesetChange change, PortMapConfig config, Cidr container) throws IOException {
    if (config.snat() && config.setMarkChain().isEmpty()) {
      addMasquerade(change, 1 << config.markBit());
    }
    Chain dnat = nat.chain(DNAT);
    change.ensure(dnat);
    for (String hook : List.of("PREROUTING", "OUTPUT")) {
      change.ensure(nat.chain(hook));
      change.append(nat.chain(hook), rule().toHost().then(Verdict.jump(DNAT)));
    }
    change.ensure(own);
    for (Rule rule : mappings(config, container)) {
      change.append(own, rule);
    }
    for (Rule rule : entries(config)) {
      change.append(dnat, rule);
    }
  }

  private void addMasquerade(RulesetChange change, int bit) throws IOException {
    Chain setMark = nat.chain(SET_MARK);
    Chain masquerade = nat.chain(MASQUERADE);
    Chain postrouting = nat.chain("POSTROUTING");
    change.ensure(setMark).ensure(masquerade).ensure(postrouting);
    change.append(setMark, rule().comment("CNI portfwd masquerade mark").setMark(bit));
    change.append(masquerade, rule().mark(bit, bit).masquerade());
    // Before the rules of bridge and ptp, which would translate to something else.
    Rule enter = rule().comment("CNI portfwd requiring masquerade").then(Verdict.jump(MASQUERADE));
    change.insert(postrouting, enter);
  }

  /** What leads to the container's chain: by protocol, up to 15 ports in a rule. */
  private List<Rule> entries(PortMapConfig config) {
    Map<String, List<Integer>> ports = new TreeMap<>();
    Map<String, Integer> protocols = new TreeMap<>();
    for (PortMapping mapping : config.mappings()) {
      String name = PortMapping.protocolName(mapping.protocol());
      ports.computeIfAbsent(name, it -> new ArrayList<>()).add(mapping.hostPort());
      protocols.put(name, mapping.protocol());
    }
    List<Rule> entries = new ArrayList<>();
    for (Map.Entry<String, List<Integer>> entry : ports.entrySet()) {
      List<Integer> all = entry.getValue();
      for (int i = 0; i < all.size(); i += IptablesRule.MOST_PORTS) {
        List<Integer> some = all.subList(i, Math.min(all.size(), i + IptablesRule.MOST_PORTS));
        int protocol = protocols.getOrDefault(entry.getKey(), 0);
        IptablesRule rule =
            IptablesConditions.parse(config.conditions(v4), v4).begin(nat.family(), protocol);
        entries.add(rule.comment(comment).destinationPorts(some).then(Verdict.jump(own.name())));
      }
    }
    return entries;
  }

  /** The container's chain: what has to be masqueraded is marked first. */
  private List<Rule> mappings(PortMapConfig config, Cidr container) {
    String setMark = config.setMarkChain().orElse(SET_MARK);
    Cidr everything = Cidr.everything(container.address());
    List<Rule> rules = new ArrayList<>();
    for (PortMapping mapping : config.mappings(v4)) {
      if (config.snat()) {
        Cidr from = config.masqueradeAll() ? everything : container.network();
        rules.add(mapped(mapping, Optional.of(from)).then(Verdict.jump(setMark)));
        if (v4 && !config.masqueradeAll()) {
          Optional<Cidr> localhost = Optional.of(Cidr.parse("127.0.0.1/32"));
          rules.add(mapped(mapping, localhost).then(Verdict.jump(setMark)));
        }
      }
      rules.add(
          mapped(mapping, Optional.empty())
              .destinationNat(container.address(), mapping.containerPort()));
    }
    return rules;
  }

  private IptablesRule mapped(PortMapping mapping, Optional<Cidr> from) {
    IptablesRule rule = rule().protocol(mapping.protocol());
    from.ifPresent(net -> rule.source(EQUAL, net.address(), net.prefix()));
    mapping.hostIp().ifPresent(it -> rule.destination(EQUAL, it, 8 * it.getAddress().length));
    return rule.destinationPort(mapping.protocol(), mapping.hostPort());
  }

  /** The rules that there should be for the container. */
  List<ListedRule> wanted(PortMapConfig config, Cidr container) {
    List<ListedRule> wanted = new ArrayList<>();
    mappings(config, container).forEach(rule -> wanted.add(new ListedRule(own, 0, rule)));
    for (Rule rule : entries(config)) {
      wanted.add(new ListedRule(nat.chain(DNAT), 0, rule));
    }
    for (String hook : List.of("PREROUTING", "OUTPUT")) {
      Rule enter = rule().toHost().then(Verdict.jump(DNAT));
      wanted.add(new ListedRule(nat.chain(hook), 0, enter));
    }
    return wanted;
  }

  /** Removes the container's chain and what leads to it. */
  void delete(RulesetChange change) throws IOException {
    change.remove(own).remove(old);
  }

  /** Removes both families' chains from the tables of the legacy variant of iptables. */
  void deleteLegacy(Namespace host) throws IOException {
    LegacyIptables.SYSTEM.removeChains(host, "nat", all -> Set.of(own.name(), old.name()));
  }

  /** Removes such chains of containers that are not valid on the network. */
  static void collectLegacy(Namespace host, String network, Set<AttachmentId> valid)
      throws IOException {
    Predicate<String> stale = RuleOwner.staleContainer(COMMENT, network, valid);
    LegacyIptables.SYSTEM.removeChains(
        host,
        "nat",
        all ->
            all.stream()
                .filter(rule -> rule.value("--comment").filter(stale).isPresent())
                .flatMap(rule -> rule.target().stream())
                .collect(Collectors.toUnmodifiableSet()));
  }

  /** Removes the chains of containers that are not valid on the network. */
  static void collect(RulesetChange change, boolean v4, String network, Set<AttachmentId> valid)
      throws IOException {
    Predicate<String> stale = RuleOwner.staleContainer(COMMENT, network, valid);
    for (ListedRule rule : change.rules(nat(v4).chain(DNAT))) {
      Optional<Verdict> verdict = rule.rule().verdict();
      if (verdict.isPresent() && IptablesRule.commentOf(rule.rule()).filter(stale).isPresent()) {
        change.remove(nat(v4).chain(verdict.get().chain()));
      }
    }
  }

  /** The rules of other containers' chains. */
  List<ListedRule> others(List<ListedRule> there) {
    return there.stream()
        .filter(rule -> rule.chain().name().startsWith("CNI-DN-") && !rule.chain().equals(own))
        .toList();
  }

  /** Whose chain a rule is in, by the comment of what leads there. */
  static Optional<String> container(ListedRule rule, List<ListedRule> there) {
    return there.stream()
        .filter(it -> it.rule().leadsTo(rule.chain().name()))
        .map(it -> COMMENT.matcher(IptablesRule.commentOf(it.rule()).orElse("")))
        .filter(Matcher::matches)
        .map(words -> words.group(2))
        .findFirst();
  }

  static Table table(boolean v4) {
    return nat(v4);
  }
}
