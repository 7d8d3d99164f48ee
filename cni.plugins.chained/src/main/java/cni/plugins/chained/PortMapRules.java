package cni.plugins.chained;

import static cni.netlink.ffm.netfilter.Expression.Compare.EQUAL;

import cni.api.Cidr;
import cni.netlink.ffm.netfilter.Chain;
import cni.netlink.ffm.netfilter.Expression.Verdict;
import cni.netlink.ffm.netfilter.Family;
import cni.netlink.ffm.netfilter.Hook;
import cni.netlink.ffm.netfilter.ListedRule;
import cni.netlink.ffm.netfilter.NftConditions;
import cni.netlink.ffm.netfilter.Rule;
import cni.netlink.ffm.netfilter.RuleBuilder;
import cni.netlink.ffm.netfilter.Table;
import cni.netlink.ffm.netfilter.Transaction;
import cni.netlink.ffm.netfilter.Userdata;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * The rules of port mappings in one family's table {@code cni_hostport}, those of the reference
 * plugin 1.9.1: a rule for each mapping and for each source that has to be masqueraded, which the
 * container's id is written on.
 */
final class PortMapRules {
  private static final String TABLE = "cni_hostport";
  private static final Userdata TABLE_COMMENT = Userdata.comment("CNI portmap plugin");

  private final boolean v4;
  private final Table table;
  private final Chain hostPorts;
  private final Chain hostIpHostPorts;
  private final Chain all;
  private final Chain prerouting;
  private final Chain output;
  private final Chain masquerading;

  /** Those of IPv4 or IPv6. */
  PortMapRules(boolean v4) {
    this.v4 = v4;
    table = new Table(v4 ? Family.IP : Family.IP6, TABLE);
    hostPorts = table.chain("hostports");
    hostIpHostPorts = table.chain("hostip_hostports"); // nothing is put there any more
    all = table.chain("hostports_all");
    prerouting = table.chain("prerouting");
    output = table.chain("output");
    masquerading = table.chain("masquerading");
  }

  Table table() {
    return table;
  }

  /** What every container needs: the ways from the hooks to the mappings. */
  private List<ListedRule> entry(PortMapConfig config) {
    Rule toAll = enter(config);
    return List.of(
        new ListedRule(all, 0, jump(hostIpHostPorts)),
        new ListedRule(all, 0, jump(hostPorts)),
        new ListedRule(prerouting, 0, toAll),
        new ListedRule(output, 0, toAll));
  }

  private Rule enter(PortMapConfig config) {
    RuleBuilder rule = RuleBuilder.in(table.family());
    NftConditions.append(rule, table.family(), config.conditions(v4));
    return rule.toHost().with(Verdict.jump(all.name())).build();
  }

  private Rule jump(Chain chain) {
    return RuleBuilder.in(table.family()).with(Verdict.jump(chain.name())).build();
  }

  /**
   * Adds what is missing for a container to the transaction, and removes what an earlier ADD has
   * left of the same attachment.
   *
   * @param there the table's rules
   */
  void add(
      Transaction transaction,
      List<ListedRule> there,
      PortMapConfig config,
      Cidr container,
      String id,
      String owner) {
    List<ListedRule> entry = entry(config);
    if (!entry.stream().allMatch(rule -> isAlone(rule, entry, there))) {
      transaction.add(table, TABLE_COMMENT).add(hostPorts).add(hostIpHostPorts).add(all);
      transaction.add(prerouting, Hook.DESTINATION_NAT).add(output, Hook.OUTPUT_NAT);
      transaction.flush(all).flush(prerouting).flush(output);
      entry.forEach(rule -> transaction.append(rule.chain(), rule.rule()));
    }
    // The kernel treats a chain that is there as a change of it, and puts off whoever makes rules
    // of
    // iptables next until no processor can be using what was there before: some 16 ms.
    if (config.snat() && there.stream().noneMatch(rule -> rule.chain().equals(masquerading))) {
      transaction.add(masquerading, Hook.SOURCE_NAT);
    }
    List<ListedRule> wanted = own(config, container, id, owner);
    List<ListedRule> left = new ArrayList<>(there.stream().filter(ownedBy(owner)).toList());
    for (ListedRule rule : wanted) {
      Optional<ListedRule> same = left.stream().filter(rule::doesSameAs).findFirst();
      same.ifPresentOrElse(left::remove, () -> transaction.append(rule.chain(), rule.rule()));
    }
    left.forEach(transaction::delete);
  }

  /** Whether a chain has the rules that it is to have, and no other. */
  private static boolean isAlone(ListedRule rule, List<ListedRule> entry, List<ListedRule> there) {
    return rules(there, rule.chain()).equals(rules(entry, rule.chain()));
  }

  private static List<Rule> rules(List<ListedRule> listed, Chain chain) {
    return listed.stream()
        .filter(rule -> rule.chain().equals(chain))
        .map(ListedRule::rule)
        .toList();
  }

  private static Predicate<ListedRule> ownedBy(String owner) {
    return rule -> rule.rule().userdata().owner().filter(owner::equals).isPresent();
  }

  private List<ListedRule> own(PortMapConfig config, Cidr container, String id, String owner) {
    List<ListedRule> wanted = new ArrayList<>();
    for (PortMapping mapping : config.mappings(v4)) {
      RuleBuilder rule = RuleBuilder.in(table.family());
      mapping.hostIp().ifPresent(address -> rule.destination(EQUAL, address, bits()));
      rule.destinationPort(mapping.protocol(), mapping.hostPort())
          .destinationNat(container.address(), mapping.containerPort());
      wanted.add(written(hostPorts, rule, id, owner));
    }
    if (config.snat()) {
      Cidr from = new Cidr(container.address(), bits()); // the container to itself
      Cidr everything = Cidr.everything(container.address());
      wanted.add(masquerade(config.masqueradeAll() ? everything : from, container, id, owner));
      if (v4 && !config.masqueradeAll()) {
        wanted.add(masquerade(Cidr.parse("127.0.0.1/32"), container, id, owner));
      }
    }
    return wanted;
  }

  private ListedRule masquerade(Cidr from, Cidr container, String id, String owner) {
    RuleBuilder rule =
        RuleBuilder.in(table.family())
            .source(EQUAL, from.address(), from.prefix())
            .destination(EQUAL, container.address(), bits())
            .masquerade();
    return written(masquerading, rule, id, owner);
  }

  private static ListedRule written(Chain chain, RuleBuilder rule, String id, String owner) {
    return new ListedRule(chain, 0, rule.build().commented(comment(id)).ownedBy(owner));
  }

  private static String comment(String id) {
    return Userdata.cut(id);
  }

  private int bits() {
    return v4 ? 32 : 128;
  }

  /** The rules that there should be for a container. */
  List<ListedRule> wanted(PortMapConfig config, Cidr container, String id, String owner) {
    List<ListedRule> wanted = new ArrayList<>(entry(config));
    wanted.addAll(own(config, container, id, owner));
    return wanted;
  }

  /**
   * Adds the removal of a container's rules to the transaction. The reference writes no more on
   * them than the id; ours of another network's attachment are left.
   */
  void delete(Transaction transaction, List<ListedRule> there, String id, String owner) {
    there.stream()
        .filter(rule -> rule.rule().userdata().comment().filter(comment(id)::equals).isPresent())
        .filter(rule -> rule.rule().userdata().owner().filter(it -> !it.equals(owner)).isEmpty())
        .forEach(transaction::delete);
  }
}
