package cni.plugins.bridge;

import static cni.netlink.ffm.netfilter.Expression.Compare.EQUAL;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.netlink.ffm.netfilter.Chain;
import cni.netlink.ffm.netfilter.Expression.Verdict;
import cni.netlink.ffm.netfilter.Family;
import cni.netlink.ffm.netfilter.Hook;
import cni.netlink.ffm.netfilter.ListedRule;
import cni.netlink.ffm.netfilter.Rule;
import cni.netlink.ffm.netfilter.RuleBuilder;
import cni.netlink.ffm.netfilter.RulesetChange;
import cni.netlink.ffm.netfilter.Table;
import cni.netlink.ffm.netfilter.Transaction;
import cni.netlink.ffm.netfilter.Userdata;
import cni.netlink.ffm.route.Mac;
import cni.sandbox.AttachmentCheck;
import cni.sandbox.Namespace;
import cni.sandbox.RuleOwner;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Drops frames that a port sends from another hardware address than its own ({@code macspoofchk}),
 * by the rules of the reference plugin: two chains for each port in the table {@code bridge nat}.
 */
final class SpoofCheck {
  private static final Table TABLE = new Table(Family.BRIDGE, "nat");
  private static final Chain PREROUTING = TABLE.chain("PREROUTING");
  private static final Hook HOOK = new Hook("filter", Hook.PREROUTING, -300);
  private static final String CHAIN = "cni-br-iface-";
  private static final String MAC_CHAIN = "-mac";
  private static final String COMMENT = "macspoofchk-";

  private final Namespace host;
  private final String owner;
  private final String comment;
  private final Chain portChain;
  private final Chain macChain;

  SpoofCheck(Namespace host, String network, AttachmentId id) {
    String reference = id.containerId() + "-" + id.interfaceName();
    this.host = host;
    this.owner = RuleOwner.of(network, id);
    this.comment = Userdata.cut(COMMENT + reference);
    this.portChain = TABLE.chain(CHAIN + reference);
    this.macChain = TABLE.chain(CHAIN + reference + MAC_CHAIN);
  }

  /** Lets a port send from that address only. */
  void add(String port, String mac) throws CniException {
    try {
      host.nftables()
          .update(
              there -> {
                var transaction =
                    new Transaction()
                        .add(TABLE)
                        .add(PREROUTING, HOOK)
                        .add(portChain)
                        .add(macChain)
                        .flush(portChain)
                        .flush(macChain);
                ours(there.rules(PREROUTING)).forEach(transaction::delete);
                return transaction
                    .append(PREROUTING, enter(port))
                    .append(portChain, written(rule().with(Verdict.jump(macChain.name()))))
                    .append(macChain, own(mac))
                    .append(macChain, written(rule().with(Verdict.DROP)));
              });
    } catch (IOException e) {
      throw Namespace.failure("checking the hardware address behind port " + port, e);
    }
  }

  private static RuleBuilder rule() {
    return RuleBuilder.in(Family.BRIDGE);
  }

  private Rule written(RuleBuilder rule) {
    return rule.build().commented(comment).ownedBy(owner);
  }

  private Rule enter(String port) {
    return written(rule().inputInterface(EQUAL, port).with(Verdict.jump(portChain.name())));
  }

  private Rule own(String mac) {
    return written(rule().etherSource(Mac.parse(mac)).with(Verdict.RETURN));
  }

  /** Those that lead to this attachment's chain, and those of its comment. */
  private List<ListedRule> ours(List<ListedRule> rules) {
    return rules.stream()
        .filter(
            it ->
                it.rule().leadsTo(portChain.name())
                    || it.rule().userdata().comment().filter(comment::equals).isPresent())
        .toList();
  }

  void check(String mac) throws CniException {
    List<ListedRule> there;
    try {
      there = host.nftables().rules(TABLE);
    } catch (IOException e) {
      throw Namespace.failure("listing table \"" + TABLE + "\"", e);
    }
    boolean entered =
        there.stream()
            .anyMatch(it -> it.chain().equals(PREROUTING) && it.rule().leadsTo(portChain.name()));
    List<Rule> macRules = rules(there, macChain);
    boolean drops =
        macRules.size() == 2
            && macRules.getFirst().doesSameAs(own(mac))
            && macRules.getLast().verdict().filter(Verdict.DROP::equals).isPresent();
    boolean linked = rules(there, portChain).stream().anyMatch(it -> it.leadsTo(macChain.name()));
    if (!entered || !linked || !drops) {
      throw AttachmentCheck.differs(
          "other hardware addresses than %s are not refused (macspoofchk): rules of chain \"%s\" are missing"
              .formatted(mac, portChain));
    }
  }

  private static List<Rule> rules(List<ListedRule> there, Chain chain) {
    return there.stream().filter(it -> it.chain().equals(chain)).map(ListedRule::rule).toList();
  }

  void delete() throws CniException {
    try {
      host.nftables()
          .update(there -> remove(new RulesetChange(there), portChain, macChain).transaction());
    } catch (IOException e) {
      throw Namespace.failure("removing chain \"" + portChain + "\"", e);
    }
  }

  private static RulesetChange remove(RulesetChange change, Chain port, Chain mac)
      throws IOException {
    return change.remove(port).remove(mac);
  }

  /** Removes the chains of attachments to a network that are not valid. */
  static void collect(Namespace host, String network, Set<AttachmentId> valid) throws CniException {
    Predicate<String> stale = RuleOwner.stale(network, valid);
    try {
      host.nftables()
          .update(
              there -> {
                var change = new RulesetChange(there);
                for (ListedRule rule : change.rules(PREROUTING)) {
                  Optional<String> owner = rule.rule().userdata().owner().filter(stale);
                  Optional<Verdict> verdict = rule.rule().verdict();
                  if (owner.isPresent() && verdict.isPresent()) {
                    String chain = verdict.get().chain();
                    remove(change, TABLE.chain(chain), TABLE.chain(chain + MAC_CHAIN));
                  }
                }
                return change.transaction();
              });
    } catch (IOException e) {
      throw Namespace.failure("removing stale chains of table \"" + TABLE + "\"", e);
    }
  }
}
