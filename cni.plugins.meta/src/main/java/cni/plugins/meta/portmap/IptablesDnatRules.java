// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import static cni.netlink.ffm.nftables.Expression.Compare.EQUAL;

import cni.api.AttachmentId;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.InetAddresses;
import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.IptablesRuleBuilder;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.RulesetReconciler.WantedRule;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
import cni.plugins.support.LegacyIptables;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RuleOwner;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
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
 * The rules of a container's port mappings in the {@code nat} table of iptables for one family,
 * laid out as by the iptables backend of the reference plugin: a chain for each container with its
 * DNAT rules, and the chain {@code CNI-HOSTPORT-DNAT} that jumps to them by port. They are written
 * over nf_tables in the form of iptables-nft.
 */
final class IptablesDnatRules {
  private static final String TABLE = "nat";
  private static final String DNAT = "CNI-HOSTPORT-DNAT";
  private static final String SET_MARK = "CNI-HOSTPORT-SETMARK";
  private static final String MASQUERADE = "CNI-HOSTPORT-MASQ";
  private static final String CHAIN_PREFIX = "CNI-DN-";
  private static final List<String> HOOKS = List.of("PREROUTING", "OUTPUT");
  private static final String ELLIPSIS = "...";
  private static final Pattern COMMENT = Pattern.compile("dnat name: \"(.*)\" id: \"(.*?)\"?");

  private final TableFamily family;
  private final Table nat;
  private final Chain containerChain;
  private final Chain oldSnatChain;
  private final String comment;

  /**
   * Describes the rules of one container.
   *
   * @param family {@link TableFamily#IP} or {@link TableFamily#IP6}
   */
  IptablesDnatRules(TableFamily family, String network, String container) {
    this.family = family;
    nat = natTable(family);
    containerChain = nat.chain(chainName(CHAIN_PREFIX, network, container));
    oldSnatChain =
        nat.chain(chainName("CNI-SN-", network, container)); // of older reference plugins
    comment = comment(network, container);
  }

  /** Returns the comment of jumps to a container's chain, truncated as by the reference plugin. */
  private static String comment(String network, String container) {
    String text = "dnat name: \"%s\" id: \"%s\"".formatted(network, container);
    return text.length() <= IptablesRuleBuilder.MAX_COMMENT_LENGTH
        ? text
        : text.substring(0, IptablesRuleBuilder.MAX_COMMENT_LENGTH - 2) + ELLIPSIS;
  }

  private static String chainName(String prefix, String network, String container) {
    return RuleOwner.hashedName(
        IptablesRuleBuilder.MAX_CHAIN_NAME_LENGTH, prefix, network + container);
  }

  static Table natTable(TableFamily family) {
    return new Table(family, TABLE);
  }

  private IptablesRuleBuilder rule() {
    return IptablesRuleBuilder.forFamily(family);
  }

  /** Adds what is missing: first the rules that all containers share, then the container's. */
  void add(RulesetReconciler reconciler, PortMapConfig config, Cidr container) throws IOException {
    if (config.snat() && config.setMarkChain().isEmpty()) {
      addMasqueradeRules(reconciler, 1 << config.markBit());
    }
    Chain dnat = nat.chain(DNAT);
    reconciler.ensure(dnat);
    for (String hook : HOOKS) {
      reconciler.ensure(nat.chain(hook));
      reconciler.append(nat.chain(hook), dispatchJump());
    }
    reconciler.ensure(containerChain);
    reconciler.arrange(
        containerChain,
        containerRules(config, container),
        reconciler.rules(containerChain),
        rule -> true);
    List<WantedRule> jumps =
        dispatchRules(config).stream().map(rule -> new WantedRule(comment, rule)).toList();
    reconciler.arrange(
        dnat, jumps, reconciler.rules(dnat).stream().filter(this::isOwn).toList(), rule -> true);
  }

  /** Makes the rules the desired ones. */
  void update(RulesetReconciler reconciler, PortMapState current, PortMapState desired)
      throws IOException {
    Optional<Cidr> container = desired.address(family);
    if (container.isEmpty()) {
      delete(reconciler);
      return;
    }
    add(reconciler, desired.config(), container.get());
    int oldBit = current.config().markBit();
    if (oldBit != desired.config().markBit()
        && reconciler.rules(nat.chain(DNAT)).stream().allMatch(this::isOwn)) {
      deleteMark(reconciler, 1 << oldBit);
    }
  }

  /** Deletes the rules of a mark that no container requests any more. */
  private void deleteMark(RulesetReconciler reconciler, int bit) throws IOException {
    Map<String, Rule> rules = Map.of(SET_MARK, setMarkRule(bit), MASQUERADE, markedRule(bit));
    for (Map.Entry<String, Rule> entry : rules.entrySet()) {
      for (InstalledRule installed : reconciler.rules(nat.chain(entry.getKey()))) {
        if (installed.rule().isEquivalentTo(entry.getValue())) {
          reconciler.delete(installed);
        }
      }
    }
  }

  /** Returns whether a rule is in the container's chain, or jumps to it. */
  boolean isOwn(InstalledRule rule) {
    return rule.chain().equals(containerChain)
        || (rule.chain().table().equals(nat) && rule.rule().jumpsTo(containerChain.name()));
  }

  /** Returns whether rules of the container are installed. */
  boolean isInstalled(RulesetReconciler reconciler) throws IOException {
    return reconciler.has(containerChain);
  }

  private Rule dispatchJump() {
    return rule().toLocalAddress().verdict(Verdict.jump(DNAT));
  }

  private void addMasqueradeRules(RulesetReconciler reconciler, int bit) throws IOException {
    Chain setMark = nat.chain(SET_MARK);
    Chain masquerade = nat.chain(MASQUERADE);
    Chain postrouting = nat.chain("POSTROUTING");
    reconciler.ensure(setMark).ensure(masquerade).ensure(postrouting);
    reconciler.append(setMark, setMarkRule(bit)).append(masquerade, markedRule(bit));
    // First in the chain: the masquerading rules of bridge and ptp would otherwise match before it.
    Rule jump =
        rule().comment("CNI portfwd requiring masquerade").verdict(Verdict.jump(MASQUERADE));
    reconciler.insert(postrouting, jump);
  }

  private Rule setMarkRule(int bit) {
    return rule().comment("CNI portfwd masquerade mark").setMark(bit);
  }

  private Rule markedRule(int bit) {
    return rule().mark(bit, bit).masquerade();
  }

  /**
   * Returns the jumps to the container's chain: by protocol, with at most 15 ports in a rule (the
   * limit of the multiport match).
   */
  private List<Rule> dispatchRules(PortMapConfig config) {
    Map<String, List<Integer>> ports = new TreeMap<>();
    Map<String, Integer> protocols = new TreeMap<>();
    for (HostPort mapping : config.mappings()) {
      String name = HostPort.protocolName(mapping.protocol());
      ports.computeIfAbsent(name, it -> new ArrayList<>()).add(mapping.hostPort());
      protocols.put(name, mapping.protocol());
    }
    List<Rule> jumps = new ArrayList<>();
    for (Map.Entry<String, List<Integer>> entry : ports.entrySet()) {
      List<Integer> all = entry.getValue();
      for (int i = 0; i < all.size(); i += IptablesRuleBuilder.MAX_PORTS) {
        List<Integer> group =
            all.subList(i, Math.min(all.size(), i + IptablesRuleBuilder.MAX_PORTS));
        int protocol = protocols.getOrDefault(entry.getKey(), 0);
        IptablesRuleBuilder rule =
            IptablesConditions.parse(config.conditions(family), family).startRule(family, protocol);
        jumps.add(
            rule.comment(comment)
                .destinationPorts(group)
                .verdict(Verdict.jump(containerChain.name())));
      }
    }
    return jumps;
  }

  /**
   * Returns the rules of the container's chain: DNAT, after the marks that request masquerading.
   */
  private List<WantedRule> containerRules(PortMapConfig config, Cidr container) {
    String setMark = config.setMarkChain().orElse(SET_MARK);
    Cidr anywhere = Cidr.defaultRoute(container.address());
    List<WantedRule> rules = new ArrayList<>();
    for (HostPort mapping : distinct(config.mappings(family))) {
      String group = mapping.group();
      if (config.snat()) {
        Cidr source = config.masqueradeAll() ? anywhere : container.network();
        Verdict mark = Verdict.jump(setMark);
        rules.add(new WantedRule(group, matchMapping(mapping, Optional.of(source)).verdict(mark)));
        if (family == TableFamily.IP && !config.masqueradeAll()) {
          Optional<Cidr> localhost = Optional.of(Cidr.parse("127.0.0.1/32"));
          rules.add(new WantedRule(group, matchMapping(mapping, localhost).verdict(mark)));
        }
      }
      Rule dnat =
          matchMapping(mapping, Optional.empty())
              .destinationNat(container.address(), mapping.containerPort());
      rules.add(new WantedRule(group, dnat));
    }
    return rules;
  }

  /** Leaves out mappings that are given twice. */
  private static Collection<HostPort> distinct(List<HostPort> mappings) {
    Map<String, HostPort> distinct = new LinkedHashMap<>();
    mappings.forEach(it -> distinct.put(it + " to " + it.containerPort(), it));
    return distinct.values();
  }

  private IptablesRuleBuilder matchMapping(HostPort mapping, Optional<Cidr> source) {
    IptablesRuleBuilder rule = rule().protocol(mapping.protocol());
    source.ifPresent(net -> rule.source(EQUAL, net.address(), net.prefix()));
    mapping
        .hostIp()
        .ifPresent(address -> rule.destination(EQUAL, address, InetAddresses.bits(address)));
    return rule.destinationPort(mapping.protocol(), mapping.hostPort());
  }

  /** Removes the container's chain and the jumps to it. */
  void delete(RulesetReconciler reconciler) throws IOException {
    reconciler
        .removeCalledFrom(List.of(nat.chain(DNAT)), containerChain)
        .removeCalledFrom(List.of(nat.chain("POSTROUTING")), oldSnatChain);
  }

  /** Removes the container's chains of both families from the tables of iptables-legacy. */
  void deleteLegacy(NetNsSession host) throws IOException {
    LegacyIptables.SYSTEM.removeChains(
        host, TABLE, all -> Set.of(containerChain.name(), oldSnatChain.name()));
  }

  /**
   * Removes the chains of the network's containers that have no valid attachment from the tables of
   * iptables-legacy.
   */
  static void deleteStaleLegacy(NetNsSession host, String network, Set<AttachmentId> valid)
      throws IOException {
    Predicate<String> stale = RuleOwner.staleContainer(IptablesDnatRules::comment, network, valid);
    LegacyIptables.SYSTEM.removeChains(
        host,
        TABLE,
        all ->
            all.stream()
                .filter(rule -> rule.value("--comment").filter(stale).isPresent())
                .flatMap(rule -> rule.target().stream())
                .collect(Collectors.toUnmodifiableSet()));
  }

  /** Removes the chains of the network's containers that have no valid attachment. */
  static void deleteStale(
      RulesetReconciler reconciler, TableFamily family, String network, Set<AttachmentId> valid)
      throws IOException {
    Predicate<String> stale = RuleOwner.staleContainer(IptablesDnatRules::comment, network, valid);
    for (InstalledRule rule : reconciler.rules(natTable(family).chain(DNAT))) {
      Optional<Verdict> verdict = rule.rule().verdict();
      if (verdict.isPresent()
          && IptablesRuleBuilder.commentOf(rule.rule()).filter(stale).isPresent()) {
        reconciler.remove(natTable(family).chain(verdict.get().chain()));
      }
    }
  }

  /**
   * Requires that no chain of another container maps a port that one of the mappings maps. Only the
   * chains that packets to these ports reach are listed: a busy host has one for each container.
   *
   * @throws CniException code 11 for the first conflict
   */
  void requireNoConflict(RulesetReconciler reconciler, List<HostPort> mappings, String containerId)
      throws CniException, IOException {
    Set<String> checked = new HashSet<>(Set.of(containerChain.name()));
    for (InstalledRule jump : reconciler.rules(nat.chain(DNAT))) {
      if (!mightMatch(jump.rule(), mappings)) {
        continue;
      }
      String target = jump.rule().verdict().map(Verdict::chain).orElse("");
      Optional<String> container = containerOf(jump.rule());
      boolean isOwn = container.filter(name -> isNameOf(name, containerId)).isPresent();
      if (target.startsWith(CHAIN_PREFIX) && !isOwn && checked.add(target)) {
        PortConflicts.requireNoConflict(
            mappings, reconciler.rules(nat.chain(target)), rule -> container);
      }
    }
  }

  /** Whether a jump to a container's chain may be for a port of one of the mappings. */
  private static boolean mightMatch(Rule jump, List<HostPort> mappings) {
    if (mappings.size() <= PortConflicts.MAX_SEARCHED_MAPPINGS
        && mappings.stream()
            .noneMatch(it -> IptablesRuleBuilder.mightMatchPort(jump, it.hostPort()))) {
      return false;
    }
    Optional<Set<Integer>> ports = IptablesRuleBuilder.destinationPortsOf(jump);
    return ports.isEmpty() || mappings.stream().anyMatch(it -> ports.get().contains(it.hostPort()));
  }

  /** Whether a name that {@link #containerOf} returned is that of a container. */
  private static boolean isNameOf(String name, String container) {
    return name.equals(container)
        || (name.endsWith(ELLIPSIS)
            && container.startsWith(name.substring(0, name.length() - ELLIPSIS.length())));
  }

  /**
   * Returns the container to whose chain a rule jumps, as read from its comment. Of a long id the
   * comment has only the beginning, and an ellipsis.
   */
  private static Optional<String> containerOf(Rule jump) {
    Matcher matcher = COMMENT.matcher(IptablesRuleBuilder.commentOf(jump).orElse(""));
    return matcher.matches() ? Optional.of(matcher.group(2)) : Optional.empty();
  }
}
