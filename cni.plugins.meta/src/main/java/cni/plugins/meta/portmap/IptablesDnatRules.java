package cni.plugins.meta.portmap;

import static cni.netlink.ffm.nftables.Expression.Compare.EQUAL;

import cni.api.AttachmentId;
import cni.api.Cidr;
import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.IptablesRuleBuilder;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
import cni.plugins.support.LegacyIptables;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RuleOwner;
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
final class IptablesDnatRules {
  private static final int LONGEST_COMMENT = 255;
  private static final String DNAT = "CNI-HOSTPORT-DNAT";
  private static final String SET_MARK = "CNI-HOSTPORT-SETMARK";
  private static final String MASQUERADE = "CNI-HOSTPORT-MASQ";
  private static final Pattern COMMENT = Pattern.compile("dnat name: \"(.*)\" id: \"(.*)\"");

  private final boolean v4;
  private final Table nat;
  private final Chain containerChain;
  private final Chain oldSnatChain;
  private final String comment;

  /** Those of IPv4 or IPv6, of a container on a network. */
  IptablesDnatRules(boolean v4, String network, String container) {
    this.v4 = v4;
    nat = nat(v4);
    containerChain =
        nat.chain(
            RuleOwner.hashedName(
                IptablesRuleBuilder.MAX_CHAIN_NAME_LENGTH, "CNI-DN-", network + container));
    oldSnatChain =
        nat.chain(
            RuleOwner.hashedName(
                IptablesRuleBuilder.MAX_CHAIN_NAME_LENGTH, "CNI-SN-", network + container));
    String text = "dnat name: \"%s\" id: \"%s\"".formatted(network, container);
    comment =
        text.length() <= LONGEST_COMMENT ? text : text.substring(0, LONGEST_COMMENT - 2) + "...";
  }

  private static Table nat(boolean v4) {
    return new Table(v4 ? TableFamily.IP : TableFamily.IP6, "nat");
  }

  private IptablesRuleBuilder rule() {
    return IptablesRuleBuilder.forFamily(nat.family());
  }

  /** The rules that all containers share, before those of this one. */
  void add(RulesetReconciler change, PortMapConfig config, Cidr container) throws IOException {
    if (config.snat() && config.setMarkChain().isEmpty()) {
      addMasqueradeRules(change, 1 << config.markBit());
    }
    Chain dnat = nat.chain(DNAT);
    change.ensure(dnat);
    for (String hook : List.of("PREROUTING", "OUTPUT")) {
      change.ensure(nat.chain(hook));
      change.append(nat.chain(hook), rule().toLocalAddress().verdict(Verdict.jump(DNAT)));
    }
    change.ensure(containerChain);
    for (Rule rule : containerRules(config, container)) {
      change.append(containerChain, rule);
    }
    for (Rule rule : dispatchRules(config)) {
      change.append(dnat, rule);
    }
  }

  private void addMasqueradeRules(RulesetReconciler change, int bit) throws IOException {
    Chain setMark = nat.chain(SET_MARK);
    Chain masquerade = nat.chain(MASQUERADE);
    Chain postrouting = nat.chain("POSTROUTING");
    change.ensure(setMark).ensure(masquerade).ensure(postrouting);
    change.append(setMark, rule().comment("CNI portfwd masquerade mark").setMark(bit));
    change.append(masquerade, rule().mark(bit, bit).masquerade());
    // Before the rules of bridge and ptp, which would translate to something else.
    Rule enter =
        rule().comment("CNI portfwd requiring masquerade").verdict(Verdict.jump(MASQUERADE));
    change.insert(postrouting, enter);
  }

  /** What leads to the container's chain: by protocol, up to 15 ports in a rule. */
  private List<Rule> dispatchRules(PortMapConfig config) {
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
      for (int i = 0; i < all.size(); i += IptablesRuleBuilder.MAX_PORTS) {
        List<Integer> some =
            all.subList(i, Math.min(all.size(), i + IptablesRuleBuilder.MAX_PORTS));
        int protocol = protocols.getOrDefault(entry.getKey(), 0);
        IptablesRuleBuilder rule =
            IptablesConditions.parse(config.conditions(v4), v4).startRule(nat.family(), protocol);
        entries.add(
            rule.comment(comment)
                .destinationPorts(some)
                .verdict(Verdict.jump(containerChain.name())));
      }
    }
    return entries;
  }

  /** The container's chain: what has to be masqueraded is marked first. */
  private List<Rule> containerRules(PortMapConfig config, Cidr container) {
    String setMark = config.setMarkChain().orElse(SET_MARK);
    Cidr everything = Cidr.defaultRoute(container.address());
    List<Rule> rules = new ArrayList<>();
    for (PortMapping mapping : config.mappings(v4)) {
      if (config.snat()) {
        Cidr from = config.masqueradeAll() ? everything : container.network();
        rules.add(matchMapping(mapping, Optional.of(from)).verdict(Verdict.jump(setMark)));
        if (v4 && !config.masqueradeAll()) {
          Optional<Cidr> localhost = Optional.of(Cidr.parse("127.0.0.1/32"));
          rules.add(matchMapping(mapping, localhost).verdict(Verdict.jump(setMark)));
        }
      }
      rules.add(
          matchMapping(mapping, Optional.empty())
              .destinationNat(container.address(), mapping.containerPort()));
    }
    return rules;
  }

  private IptablesRuleBuilder matchMapping(PortMapping mapping, Optional<Cidr> from) {
    IptablesRuleBuilder rule = rule().protocol(mapping.protocol());
    from.ifPresent(net -> rule.source(EQUAL, net.address(), net.prefix()));
    mapping.hostIp().ifPresent(it -> rule.destination(EQUAL, it, 8 * it.getAddress().length));
    return rule.destinationPort(mapping.protocol(), mapping.hostPort());
  }

  /** The rules that there should be for the container. */
  List<InstalledRule> expectedRules(PortMapConfig config, Cidr container) {
    List<InstalledRule> wanted = new ArrayList<>();
    containerRules(config, container)
        .forEach(rule -> wanted.add(new InstalledRule(containerChain, 0, rule)));
    for (Rule rule : dispatchRules(config)) {
      wanted.add(new InstalledRule(nat.chain(DNAT), 0, rule));
    }
    for (String hook : List.of("PREROUTING", "OUTPUT")) {
      Rule enter = rule().toLocalAddress().verdict(Verdict.jump(DNAT));
      wanted.add(new InstalledRule(nat.chain(hook), 0, enter));
    }
    return wanted;
  }

  /** Removes the container's chain and what leads to it. */
  void delete(RulesetReconciler change) throws IOException {
    change.remove(containerChain).remove(oldSnatChain);
  }

  /** Removes both families' chains from the tables of the legacy variant of iptables. */
  void deleteLegacy(NetNsSession host) throws IOException {
    LegacyIptables.SYSTEM.removeChains(
        host, "nat", all -> Set.of(containerChain.name(), oldSnatChain.name()));
  }

  /** Removes such chains of containers that are not valid on the network. */
  static void deleteStaleLegacy(NetNsSession host, String network, Set<AttachmentId> valid)
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
  static void deleteStale(
      RulesetReconciler change, boolean v4, String network, Set<AttachmentId> valid)
      throws IOException {
    Predicate<String> stale = RuleOwner.staleContainer(COMMENT, network, valid);
    for (InstalledRule rule : change.rules(nat(v4).chain(DNAT))) {
      Optional<Verdict> verdict = rule.rule().verdict();
      if (verdict.isPresent()
          && IptablesRuleBuilder.commentOf(rule.rule()).filter(stale).isPresent()) {
        change.remove(nat(v4).chain(verdict.get().chain()));
      }
    }
  }

  /** The rules of other containers' chains. */
  List<InstalledRule> rulesOfOtherContainers(List<InstalledRule> there) {
    return there.stream()
        .filter(
            rule ->
                rule.chain().name().startsWith("CNI-DN-") && !rule.chain().equals(containerChain))
        .toList();
  }

  /** Whose chain a rule is in, by the comment of what leads there. */
  static Optional<String> containerOf(InstalledRule rule, List<InstalledRule> there) {
    return there.stream()
        .filter(it -> it.rule().jumpsTo(rule.chain().name()))
        .map(it -> COMMENT.matcher(IptablesRuleBuilder.commentOf(it.rule()).orElse("")))
        .filter(Matcher::matches)
        .map(words -> words.group(2))
        .findFirst();
  }

  static Table natTable(boolean v4) {
    return nat(v4);
  }
}
