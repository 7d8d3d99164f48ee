// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import static cni.netlink.ffm.nftables.Expression.Compare.EQUAL;

import cni.api.Cidr;
import cni.api.InetAddresses;
import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.Hook;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.NftConditionParser;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.RuleIndex;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.RulesetReconciler.WantedRule;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.nftables.Userdata;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * The rules of a container's port mappings in the table {@code cni_hostport} of one family, laid
 * out as by the nftables backend of the reference plugin 1.9.1: a DNAT rule for each mapping and a
 * masquerading rule for each source that needs one, with the container's id as their comment.
 */
final class NftablesDnatRules {
  private static final String TABLE = "cni_hostport";
  private static final String HOST_PORTS = "hostports";
  private static final String HOST_IP_HOST_PORTS = "hostip_hostports";
  private static final Userdata TABLE_COMMENT = Userdata.comment("CNI portmap plugin");

  private final TableFamily family;
  private final Table table;
  private final String comment;
  private final String owner;
  private final Chain hostPorts;
  private final Chain hostIpHostPorts;
  private final Chain dispatch;
  private final Chain prerouting;
  private final Chain output;
  private final Chain masquerading;

  /**
   * Describes the rules of one container.
   *
   * @param family {@link TableFamily#IP} or {@link TableFamily#IP6}
   * @param containerId the container, written as the comment of its rules
   * @param owner the attachment, written into the user data of its rules
   */
  NftablesDnatRules(TableFamily family, String containerId, String owner) {
    this.family = family;
    this.owner = owner;
    table = table(family);
    comment = Userdata.truncateComment(containerId);
    hostPorts = table.chain(HOST_PORTS);
    hostIpHostPorts = table.chain(HOST_IP_HOST_PORTS); // created by the reference, always empty
    dispatch = table.chain("hostports_all");
    prerouting = table.chain("prerouting");
    output = table.chain("output");
    masquerading = table.chain("masquerading");
  }

  /** Returns the DNAT rules of all containers. */
  static List<InstalledRule> allMappings(RulesetReconciler reconciler, TableFamily family)
      throws IOException {
    List<InstalledRule> rules = new ArrayList<>();
    for (String chain : List.of(HOST_IP_HOST_PORTS, HOST_PORTS)) {
      rules.addAll(reconciler.rules(table(family).chain(chain)));
    }
    return rules;
  }

  private static Table table(TableFamily family) {
    return new Table(family, TABLE);
  }

  private Rule dispatchJump(PortMapConfig config) {
    RuleBuilder rule = RuleBuilder.forFamily(family);
    NftConditionParser.append(rule, family, config.conditions(family));
    return rule.toLocalAddress().append(Verdict.jump(dispatch.name())).build();
  }

  private Rule jump(Chain chain) {
    return RuleBuilder.forFamily(family).append(Verdict.jump(chain.name())).build();
  }

  /** Adds what is missing, and removes other rules that an earlier ADD of the attachment left. */
  void add(RulesetReconciler reconciler, PortMapConfig config, Cidr container) throws IOException {
    addDispatchRules(reconciler, config, config);
    addContainerRules(
        reconciler, config, container, this::belongsToAttachment, this::belongsToAttachment);
  }

  /**
   * Makes the rules the desired ones. Rules of the reference plugin, which have no owner, stay if
   * they are desired, and are removed if only the current state has them. The masquerading rules,
   * of which each container has several, are listed only if they may differ: an update of one
   * mapping takes a third of the time without.
   */
  void update(RulesetReconciler reconciler, PortMapState current, PortMapState desired)
      throws IOException {
    RuleIndex obsolete = new RuleIndex(current.equals(desired) ? List.of() : rules(current));
    Predicate<InstalledRule> isSurplus =
        rule -> belongsToAttachment(rule) || obsolete.contains(rule);
    Optional<Cidr> container = desired.address(family);
    if (container.isEmpty()) {
      for (Chain chain : List.of(hostPorts, masquerading)) {
        reconciler.delete(chain, candidates(reconciler, chain).filter(isSurplus).toList());
      }
      return;
    }
    boolean onlyPortsChange =
        !current.equals(desired)
            && desired.masquerades(family).isPresent()
            && desired.masquerades(family).equals(current.masquerades(family))
            && isInstalled(reconciler); // not lost, and not in the tables of the other backend
    if (sharedConditions(reconciler, desired).isEmpty()) {
      addDispatchRules(reconciler, desired.config(), current.config());
    }
    Predicate<InstalledRule> isCandidate = this::mayBelongToAttachment;
    if (onlyPortsChange) {
      List<WantedRule> wanted = dnatRules(desired.config(), container.get());
      arrange(reconciler, hostPorts, wanted, isCandidate, isSurplus);
    } else {
      addContainerRules(reconciler, desired.config(), container.get(), isCandidate, isSurplus);
    }
  }

  private Stream<InstalledRule> candidates(RulesetReconciler reconciler, Chain chain)
      throws IOException {
    return reconciler.rules(chain).stream().filter(this::mayBelongToAttachment);
  }

  private List<InstalledRule> rules(PortMapState state) {
    Optional<Cidr> container = state.address(family);
    if (container.isEmpty()) {
      return List.of();
    }
    List<InstalledRule> rules = new ArrayList<>();
    dnatRules(state.config(), container.get())
        .forEach(rule -> rules.add(new InstalledRule(hostPorts, 0, rule.rule())));
    masqueradeRules(state.config(), container.get())
        .forEach(rule -> rules.add(new InstalledRule(masquerading, 0, rule.rule())));
    return rules;
  }

  private void addContainerRules(
      RulesetReconciler reconciler,
      PortMapConfig config,
      Cidr container,
      Predicate<InstalledRule> isCandidate,
      Predicate<InstalledRule> isSurplus)
      throws IOException {
    if (config.snat()) {
      reconciler.ensure(masquerading, Optional.of(Hook.SOURCE_NAT), TABLE_COMMENT);
    }
    arrange(reconciler, hostPorts, dnatRules(config, container), isCandidate, isSurplus);
    arrange(reconciler, masquerading, masqueradeRules(config, container), isCandidate, isSurplus);
  }

  private static void arrange(
      RulesetReconciler reconciler,
      Chain chain,
      List<WantedRule> wanted,
      Predicate<InstalledRule> isCandidate,
      Predicate<InstalledRule> isSurplus)
      throws IOException {
    List<InstalledRule> candidates = reconciler.rules(chain).stream().filter(isCandidate).toList();
    reconciler.arrange(chain, wanted, candidates, isSurplus);
  }

  /**
   * Adds the rules that all containers share: the jumps from the hooks to the mappings. Jumps with
   * other conditions are replaced.
   */
  private void addDispatchRules(
      RulesetReconciler reconciler, PortMapConfig config, PortMapConfig current)
      throws IOException {
    Rule jump = dispatchJump(config);
    for (Chain hook : List.of(prerouting, output)) {
      List<InstalledRule> jumps = jumps(reconciler, hook);
      if (!isInstalled(reconciler, jumps, jump)) {
        ensureChains(reconciler);
        for (InstalledRule other : jumps) {
          reconciler.delete(other, restorable(reconciler, other, jump, dispatchJump(current)));
        }
        reconciler.add(hook, jump);
      }
    }
    List<InstalledRule> installed = reconciler.rules(dispatch);
    List<WantedRule> wanted =
        List.of(
            new WantedRule(dispatch, jump(hostIpHostPorts)),
            new WantedRule(dispatch, jump(hostPorts)));
    if (wanted.stream().anyMatch(it -> !new RuleIndex(installed).contains(dispatched(it)))) {
      ensureChains(reconciler);
    }
    reconciler.arrange(dispatch, wanted, installed, rule -> false);
  }

  private InstalledRule dispatched(WantedRule wanted) {
    return new InstalledRule(dispatch, 0, wanted.rule());
  }

  private List<InstalledRule> jumps(RulesetReconciler reconciler, Chain hook) throws IOException {
    return reconciler.rules(hook).stream()
        .filter(rule -> rule.rule().jumpsTo(dispatch.name()))
        .toList();
  }

  private void ensureChains(RulesetReconciler reconciler) throws IOException {
    for (Chain chain : List.of(hostPorts, hostIpHostPorts, dispatch)) {
      reconciler.ensure(chain, Optional.empty(), TABLE_COMMENT);
    }
    reconciler.ensure(prerouting, Optional.of(Hook.DESTINATION_NAT), TABLE_COMMENT);
    reconciler.ensure(output, Optional.of(Hook.OUTPUT_NAT), TABLE_COMMENT);
  }

  private static boolean isInstalled(
      RulesetReconciler reconciler, List<InstalledRule> jumps, Rule jump) throws IOException {
    for (InstalledRule installed : jumps) {
      if (reconciler.withSets(installed, jump).filter(jump::equals).isPresent()) {
        return true;
      }
    }
    return false;
  }

  /** Returns an installed jump with the elements of its sets, if it is like one of known jumps. */
  private static Rule restorable(
      RulesetReconciler reconciler, InstalledRule installed, Rule... known) throws IOException {
    for (Rule jump : known) {
      Optional<Rule> complete = reconciler.withSets(installed, jump);
      if (complete.isPresent()) {
        return complete.get();
      }
    }
    return installed.rule();
  }

  /**
   * Returns why the conditions of the shared jumps cannot be the desired ones: containers of other
   * networks are reached by them. Empty if they are the desired ones, or can be replaced.
   */
  Optional<String> sharedConditions(RulesetReconciler reconciler, PortMapState desired)
      throws IOException {
    if (desired.address(family).isEmpty()) {
      return Optional.empty();
    }
    Rule jump = dispatchJump(desired.config());
    for (Chain hook : List.of(prerouting, output)) {
      List<InstalledRule> jumps = jumps(reconciler, hook);
      if (!jumps.isEmpty()
          && !isInstalled(reconciler, jumps, jump)
          && reconciler.rules(hostPorts).stream().anyMatch(this::isOfOtherNetwork)) {
        return Optional.of(
            "chain \"%s\" has other conditions than the configuration, and containers of other networks are reached by it"
                .formatted(hook));
      }
    }
    return Optional.empty();
  }

  private boolean isOfOtherNetwork(InstalledRule rule) {
    String network = owner.substring(0, owner.indexOf('-') + 1);
    return !mayBelongToAttachment(rule)
        && rule.rule().userdata().owner().filter(it -> it.startsWith(network)).isEmpty();
  }

  private boolean belongsToAttachment(InstalledRule rule) {
    return rule.rule().userdata().owner().filter(owner::equals).isPresent();
  }

  private List<WantedRule> dnatRules(PortMapConfig config, Cidr container) {
    return config.mappings(family).stream()
        .map(it -> new WantedRule(it.group(), labelled(dnatRule(it, container))))
        .toList();
  }

  private List<WantedRule> masqueradeRules(PortMapConfig config, Cidr container) {
    if (!config.snat()) {
      return List.of();
    }
    Cidr self = Cidr.ofHost(container.address());
    Cidr source = config.masqueradeAll() ? Cidr.defaultRoute(container.address()) : self;
    List<Cidr> sources = new ArrayList<>(List.of(source));
    if (family == TableFamily.IP && !config.masqueradeAll()) {
      sources.add(Cidr.parse("127.0.0.1/32"));
    }
    return sources.stream()
        .map(it -> new WantedRule(it.toString(), labelled(masqueradeRule(it, self))))
        .toList();
  }

  /** Returns the rule that translates the host's address and port to the container's. */
  private RuleBuilder dnatRule(HostPort mapping, Cidr container) {
    RuleBuilder rule = RuleBuilder.forFamily(family);
    mapping
        .hostIp()
        .ifPresent(address -> rule.destination(EQUAL, address, InetAddresses.bits(address)));
    return rule.destinationPort(mapping.protocol(), mapping.hostPort())
        .destinationNat(container.address(), mapping.containerPort());
  }

  private RuleBuilder masqueradeRule(Cidr source, Cidr destination) {
    return RuleBuilder.forFamily(family)
        .source(EQUAL, source.address(), source.prefix())
        .destination(EQUAL, destination.address(), destination.prefix())
        .masquerade();
  }

  private Rule labelled(RuleBuilder rule) {
    return rule.build().withComment(comment).withOwner(owner);
  }

  /**
   * Removes the container's rules. Rules of the reference plugin name only the container and are
   * removed as well; rules of this project that belong to another network's attachment stay.
   */
  void delete(RulesetReconciler reconciler) throws IOException {
    if (reconciler.rules(table).isEmpty()) {
      return;
    }
    for (Chain chain : List.of(hostPorts, hostIpHostPorts, masquerading)) {
      reconciler.delete(chain, candidates(reconciler, chain).toList());
    }
  }

  /** Returns whether rules of the attachment are installed. */
  boolean isInstalled(RulesetReconciler reconciler) throws IOException {
    return candidates(reconciler, hostPorts).findAny().isPresent();
  }

  /** Returns whether rules of the attachment that name it as their owner are installed. */
  boolean haveOwner(RulesetReconciler reconciler) throws IOException {
    return reconciler.rules(hostPorts).stream().anyMatch(this::belongsToAttachment);
  }

  /** Returns whether a rule is the attachment's, or a rule of the reference plugin that may be. */
  boolean mayBelongToAttachment(InstalledRule rule) {
    Userdata userdata = rule.rule().userdata();
    return rule.chain().table().equals(table)
        && userdata.comment().filter(comment::equals).isPresent()
        && userdata.owner().filter(it -> !it.equals(owner)).isEmpty();
  }

  /** Removes the rules of all attachments that a predicate for owners selects. */
  static void deleteStale(
      RulesetReconciler reconciler, TableFamily family, Predicate<String> isStale)
      throws IOException {
    reconciler.rules(table(family)).stream()
        .filter(rule -> rule.rule().userdata().owner().filter(isStale).isPresent())
        .forEach(reconciler::delete);
  }
}
