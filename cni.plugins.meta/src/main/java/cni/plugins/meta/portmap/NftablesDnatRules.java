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
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.nftables.Transaction;
import cni.netlink.ffm.nftables.Userdata;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * The rules of a container's port mappings in the table {@code cni_hostport} of one family, laid
 * out as by the nftables backend of the reference plugin 1.9.1: a DNAT rule for each mapping and a
 * masquerading rule for each source that needs one, with the container's id as their comment.
 */
final class NftablesDnatRules {
  private static final String TABLE = "cni_hostport";
  private static final Userdata TABLE_COMMENT = Userdata.comment("CNI portmap plugin");

  /**
   * The number of rules from which a chain is flushed instead, if it has no others: the kernel
   * searches the chain for each deleted rule (nft_rule_lookup), 60,000 of them for a minute.
   */
  private static final int MIN_FLUSHED_RULES = 100;

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
    hostPorts = table.chain("hostports");
    hostIpHostPorts = table.chain("hostip_hostports"); // created by the reference, always empty
    dispatch = table.chain("hostports_all");
    prerouting = table.chain("prerouting");
    output = table.chain("output");
    masquerading = table.chain("masquerading");
  }

  static Table table(TableFamily family) {
    return new Table(family, TABLE);
  }

  /** Returns the rules that all containers share: the jumps from the hooks to the mappings. */
  private List<InstalledRule> dispatchRules(PortMapConfig config) {
    Rule dispatchJump = dispatchJump(config);
    return List.of(
        new InstalledRule(dispatch, 0, jump(hostIpHostPorts)),
        new InstalledRule(dispatch, 0, jump(hostPorts)),
        new InstalledRule(prerouting, 0, dispatchJump),
        new InstalledRule(output, 0, dispatchJump));
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
    List<InstalledRule> installed = reconciler.rules(table);
    Transaction transaction = reconciler.transaction();
    addDispatchRules(transaction, installed, config);
    // Adding an existing base chain counts as a change of it for the kernel, which then delays the
    // next change of an iptables rule until no CPU uses the old ruleset any more: about 16 ms.
    if (config.snat() && installed.stream().noneMatch(rule -> rule.chain().equals(masquerading))) {
      transaction.add(masquerading, Hook.SOURCE_NAT);
    }
    var leftovers = new RuleIndex(installed.stream().filter(this::belongsToAttachment).toList());
    for (InstalledRule rule : containerRules(config, container)) {
      if (!leftovers.take(rule)) {
        transaction.append(rule.chain(), rule.rule());
      }
    }
    leftovers.remaining().forEach(transaction::delete);
  }

  private void addDispatchRules(
      Transaction transaction, List<InstalledRule> installed, PortMapConfig config) {
    List<InstalledRule> expected = dispatchRules(config);
    if (expected.stream().allMatch(it -> isChainUpToDate(it.chain(), expected, installed))) {
      return;
    }
    transaction.add(table, TABLE_COMMENT).add(hostPorts).add(hostIpHostPorts).add(dispatch);
    transaction.add(prerouting, Hook.DESTINATION_NAT).add(output, Hook.OUTPUT_NAT);
    transaction.flush(dispatch).flush(prerouting).flush(output);
    expected.forEach(rule -> transaction.append(rule.chain(), rule.rule()));
  }

  /** Whether a chain has exactly the expected rules. */
  private static boolean isChainUpToDate(
      Chain chain, List<InstalledRule> expected, List<InstalledRule> installed) {
    return rulesOf(chain, installed).equals(rulesOf(chain, expected));
  }

  private static List<Rule> rulesOf(Chain chain, List<InstalledRule> rules) {
    return rules.stream()
        .filter(rule -> rule.chain().equals(chain))
        .map(InstalledRule::rule)
        .toList();
  }

  private boolean belongsToAttachment(InstalledRule rule) {
    return rule.rule().userdata().owner().filter(owner::equals).isPresent();
  }

  private List<InstalledRule> containerRules(PortMapConfig config, Cidr container) {
    List<InstalledRule> rules = new ArrayList<>();
    for (PortMapping mapping : config.mappings(family)) {
      rules.add(labelled(hostPorts, dnatRule(mapping, container)));
    }
    if (config.snat()) {
      Cidr self = Cidr.ofHost(container.address());
      Cidr source = config.masqueradeAll() ? Cidr.defaultRoute(container.address()) : self;
      rules.add(masqueradeRule(source, self));
      if (family == TableFamily.IP && !config.masqueradeAll()) {
        rules.add(masqueradeRule(Cidr.parse("127.0.0.1/32"), self));
      }
    }
    return rules;
  }

  /** Returns the rule that translates the host's address and port to the container's. */
  private RuleBuilder dnatRule(PortMapping mapping, Cidr container) {
    RuleBuilder rule = RuleBuilder.forFamily(family);
    mapping
        .hostIp()
        .ifPresent(address -> rule.destination(EQUAL, address, InetAddresses.bits(address)));
    return rule.destinationPort(mapping.protocol(), mapping.hostPort())
        .destinationNat(container.address(), mapping.containerPort());
  }

  private InstalledRule masqueradeRule(Cidr source, Cidr destination) {
    RuleBuilder rule =
        RuleBuilder.forFamily(family)
            .source(EQUAL, source.address(), source.prefix())
            .destination(EQUAL, destination.address(), destination.prefix())
            .masquerade();
    return labelled(masquerading, rule);
  }

  private InstalledRule labelled(Chain chain, RuleBuilder rule) {
    return new InstalledRule(chain, 0, rule.build().withComment(comment).withOwner(owner));
  }

  /** Returns the rules that CHECK requires: the shared ones and the container's. */
  List<InstalledRule> expectedRules(PortMapConfig config, Cidr container) {
    List<InstalledRule> expected = new ArrayList<>(dispatchRules(config));
    expected.addAll(containerRules(config, container));
    return expected;
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
      List<InstalledRule> all = reconciler.rules(chain);
      List<InstalledRule> own = all.stream().filter(this::isDeleted).toList();
      if (own.size() == all.size() && own.size() >= MIN_FLUSHED_RULES) {
        reconciler.transaction().flush(chain);
      } else {
        own.forEach(reconciler::delete);
      }
    }
  }

  private boolean isDeleted(InstalledRule rule) {
    Userdata userdata = rule.rule().userdata();
    return userdata.comment().filter(comment::equals).isPresent()
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
