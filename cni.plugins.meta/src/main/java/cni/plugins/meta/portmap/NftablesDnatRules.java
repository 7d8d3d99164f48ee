package cni.plugins.meta.portmap;

import static cni.netlink.ffm.nftables.Expression.Compare.EQUAL;

import cni.api.Cidr;
import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.Hook;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.NftConditionParser;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.nftables.Transaction;
import cni.netlink.ffm.nftables.Userdata;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * The rules of port mappings in one family's table {@code cni_hostport}, those of the reference
 * plugin 1.9.1: a rule for each mapping and for each source that has to be masqueraded, which the
 * container's id is written on.
 */
final class NftablesDnatRules {
  private static final String TABLE = "cni_hostport";
  private static final Userdata TABLE_COMMENT = Userdata.comment("CNI portmap plugin");

  private final boolean v4;
  private final Table table;
  private final Chain hostPorts;
  private final Chain hostIpHostPorts;
  private final Chain dispatch;
  private final Chain prerouting;
  private final Chain output;
  private final Chain masquerading;

  /** Those of IPv4 or IPv6. */
  NftablesDnatRules(boolean v4) {
    this.v4 = v4;
    table = new Table(v4 ? TableFamily.IP : TableFamily.IP6, TABLE);
    hostPorts = table.chain("hostports");
    hostIpHostPorts = table.chain("hostip_hostports"); // nothing is put there any more
    dispatch = table.chain("hostports_all");
    prerouting = table.chain("prerouting");
    output = table.chain("output");
    masquerading = table.chain("masquerading");
  }

  Table table() {
    return table;
  }

  /** What every container needs: the ways from the hooks to the mappings. */
  private List<InstalledRule> dispatchRules(PortMapConfig config) {
    Rule toAll = dispatchJump(config);
    return List.of(
        new InstalledRule(dispatch, 0, jump(hostIpHostPorts)),
        new InstalledRule(dispatch, 0, jump(hostPorts)),
        new InstalledRule(prerouting, 0, toAll),
        new InstalledRule(output, 0, toAll));
  }

  private Rule dispatchJump(PortMapConfig config) {
    RuleBuilder rule = RuleBuilder.forFamily(table.family());
    NftConditionParser.append(rule, table.family(), config.conditions(v4));
    return rule.toLocalAddress().append(Verdict.jump(dispatch.name())).build();
  }

  private Rule jump(Chain chain) {
    return RuleBuilder.forFamily(table.family()).append(Verdict.jump(chain.name())).build();
  }

  /**
   * Adds what is missing for a container to the transaction, and removes what an earlier ADD has
   * left of the same attachment.
   *
   * @param there the table's rules
   */
  void add(
      Transaction transaction,
      List<InstalledRule> there,
      PortMapConfig config,
      Cidr container,
      String id,
      String owner) {
    List<InstalledRule> entry = dispatchRules(config);
    if (!entry.stream().allMatch(rule -> isChainUpToDate(rule, entry, there))) {
      transaction.add(table, TABLE_COMMENT).add(hostPorts).add(hostIpHostPorts).add(dispatch);
      transaction.add(prerouting, Hook.DESTINATION_NAT).add(output, Hook.OUTPUT_NAT);
      transaction.flush(dispatch).flush(prerouting).flush(output);
      entry.forEach(rule -> transaction.append(rule.chain(), rule.rule()));
    }
    // The kernel treats a chain that is there as a change of it, and puts off whoever makes rules
    // of
    // iptables next until no processor can be using what was there before: some 16 ms.
    if (config.snat() && there.stream().noneMatch(rule -> rule.chain().equals(masquerading))) {
      transaction.add(masquerading, Hook.SOURCE_NAT);
    }
    List<InstalledRule> wanted = containerRules(config, container, id, owner);
    List<InstalledRule> left = new ArrayList<>(there.stream().filter(ownedBy(owner)).toList());
    for (InstalledRule rule : wanted) {
      Optional<InstalledRule> same = left.stream().filter(rule::isEquivalentTo).findFirst();
      same.ifPresentOrElse(left::remove, () -> transaction.append(rule.chain(), rule.rule()));
    }
    left.forEach(transaction::delete);
  }

  /** Whether a chain has the rules that it is to have, and no other. */
  private static boolean isChainUpToDate(
      InstalledRule rule, List<InstalledRule> entry, List<InstalledRule> there) {
    return rules(there, rule.chain()).equals(rules(entry, rule.chain()));
  }

  private static List<Rule> rules(List<InstalledRule> listed, Chain chain) {
    return listed.stream()
        .filter(rule -> rule.chain().equals(chain))
        .map(InstalledRule::rule)
        .toList();
  }

  private static Predicate<InstalledRule> ownedBy(String owner) {
    return rule -> rule.rule().userdata().owner().filter(owner::equals).isPresent();
  }

  private List<InstalledRule> containerRules(
      PortMapConfig config, Cidr container, String id, String owner) {
    List<InstalledRule> wanted = new ArrayList<>();
    for (PortMapping mapping : config.mappings(v4)) {
      RuleBuilder rule = RuleBuilder.forFamily(table.family());
      mapping.hostIp().ifPresent(address -> rule.destination(EQUAL, address, bits()));
      rule.destinationPort(mapping.protocol(), mapping.hostPort())
          .destinationNat(container.address(), mapping.containerPort());
      wanted.add(labelled(hostPorts, rule, id, owner));
    }
    if (config.snat()) {
      Cidr from = Cidr.ofHost(container.address()); // the container to itself
      Cidr everything = Cidr.defaultRoute(container.address());
      wanted.add(masqueradeRule(config.masqueradeAll() ? everything : from, container, id, owner));
      if (v4 && !config.masqueradeAll()) {
        wanted.add(masqueradeRule(Cidr.parse("127.0.0.1/32"), container, id, owner));
      }
    }
    return wanted;
  }

  private InstalledRule masqueradeRule(Cidr from, Cidr container, String id, String owner) {
    RuleBuilder rule =
        RuleBuilder.forFamily(table.family())
            .source(EQUAL, from.address(), from.prefix())
            .destination(EQUAL, container.address(), bits())
            .masquerade();
    return labelled(masquerading, rule, id, owner);
  }

  private static InstalledRule labelled(Chain chain, RuleBuilder rule, String id, String owner) {
    return new InstalledRule(chain, 0, rule.build().withComment(comment(id)).withOwner(owner));
  }

  private static String comment(String id) {
    return Userdata.truncateComment(id);
  }

  private int bits() {
    return v4 ? 32 : 128;
  }

  /** The rules that there should be for a container. */
  List<InstalledRule> expectedRules(PortMapConfig config, Cidr container, String id, String owner) {
    List<InstalledRule> wanted = new ArrayList<>(dispatchRules(config));
    wanted.addAll(containerRules(config, container, id, owner));
    return wanted;
  }

  /**
   * Adds the removal of a container's rules to the transaction. The reference writes no more on
   * them than the id; ours of another network's attachment are left.
   */
  void delete(Transaction transaction, List<InstalledRule> there, String id, String owner) {
    there.stream()
        .filter(rule -> rule.rule().userdata().comment().filter(comment(id)::equals).isPresent())
        .filter(rule -> rule.rule().userdata().owner().filter(it -> !it.equals(owner)).isEmpty())
        .forEach(transaction::delete);
  }
}
