package cni.plugins.bridge;

import static cni.netlink.ffm.nftables.Expression.Compare.EQUAL;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.Hook;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.nftables.Transaction;
import cni.netlink.ffm.nftables.Userdata;
import cni.netlink.ffm.route.Mac;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RuleOwner;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * MAC spoofing protection ({@code macspoofchk}): rules that drop frames whose source is not the
 * hardware address of the container behind the port. The layout is that of the reference plugin:
 * two chains for each port in the table {@code bridge nat}.
 */
final class MacSpoofCheck {
  private static final Table TABLE = new Table(TableFamily.BRIDGE, "nat");
  private static final Chain PREROUTING = TABLE.chain("PREROUTING");
  private static final Hook HOOK = new Hook("filter", Hook.PREROUTING, -300);
  private static final String CHAIN = "cni-br-iface-";
  private static final String MAC_CHAIN = "-mac";
  private static final String COMMENT = "macspoofchk-";

  private final NetNsSession host;
  private final String owner;
  private final String comment;
  private final Chain portChain;
  private final Chain macChain;

  MacSpoofCheck(NetNsSession host, String network, AttachmentId id) {
    String attachment = id.containerId() + "-" + id.interfaceName();
    this.host = host;
    this.owner = RuleOwner.of(network, id);
    this.comment = Userdata.truncateComment(COMMENT + attachment);
    this.portChain = TABLE.chain(CHAIN + attachment);
    this.macChain = TABLE.chain(CHAIN + attachment + MAC_CHAIN);
  }

  /** Adds or replaces the rules that only let frames from the address pass. */
  void add(String port, String mac) throws CniException {
    try {
      host.nftables()
          .update(
              nftables -> {
                var transaction =
                    new Transaction()
                        .add(TABLE)
                        .add(PREROUTING, HOOK)
                        .add(portChain)
                        .add(macChain)
                        .flush(portChain)
                        .flush(macChain);
                nftables.rules(PREROUTING).stream()
                    .filter(this::belongsToAttachment)
                    .forEach(transaction::delete);
                return transaction
                    .append(PREROUTING, portJumpRule(port))
                    .append(portChain, tagged(rule().append(Verdict.jump(macChain.name()))))
                    .append(macChain, ownMacRule(mac))
                    .append(macChain, tagged(rule().append(Verdict.DROP)));
              });
    } catch (IOException e) {
      throw NetNsSession.failure("adding the macspoofchk rules of port " + port, e);
    }
  }

  private static RuleBuilder rule() {
    return RuleBuilder.forFamily(TableFamily.BRIDGE);
  }

  private Rule tagged(RuleBuilder rule) {
    return rule.build().withComment(comment).withOwner(owner);
  }

  private Rule portJumpRule(String port) {
    return tagged(rule().inputInterface(EQUAL, port).append(Verdict.jump(portChain.name())));
  }

  private Rule ownMacRule(String mac) {
    return tagged(rule().etherSource(Mac.parse(mac)).append(Verdict.RETURN));
  }

  /** Returns whether a rule jumps to this attachment's chain or has its comment. */
  private boolean belongsToAttachment(InstalledRule rule) {
    return rule.rule().jumpsTo(portChain.name())
        || rule.rule().userdata().comment().filter(comment::equals).isPresent();
  }

  void check(String mac) throws CniException {
    List<InstalledRule> installed;
    try {
      installed = host.nftables().rules(TABLE);
    } catch (IOException e) {
      throw NetNsSession.failure("listing table \"" + TABLE + "\"", e);
    }
    boolean jumps =
        installed.stream()
            .anyMatch(it -> it.chain().equals(PREROUTING) && it.rule().jumpsTo(portChain.name()));
    List<Rule> macRules = rules(installed, macChain);
    boolean drops =
        macRules.size() == 2
            && macRules.getFirst().isEquivalentTo(ownMacRule(mac))
            && macRules.getLast().verdict().filter(Verdict.DROP::equals).isPresent();
    boolean linked =
        rules(installed, portChain).stream().anyMatch(it -> it.jumpsTo(macChain.name()));
    if (!jumps || !linked || !drops) {
      throw AttachmentCheck.mismatch(
          "frames from other hardware addresses than %s are not dropped (macspoofchk): rules of chain \"%s\" are missing"
              .formatted(mac, portChain));
    }
  }

  private static List<Rule> rules(List<InstalledRule> installed, Chain chain) {
    return installed.stream()
        .filter(it -> it.chain().equals(chain))
        .map(InstalledRule::rule)
        .toList();
  }

  void delete() throws CniException {
    try {
      host.nftables()
          .update(
              nftables ->
                  remove(new RulesetReconciler(nftables), portChain, macChain).transaction());
    } catch (IOException e) {
      throw NetNsSession.failure("removing chain \"" + portChain + "\"", e);
    }
  }

  private static RulesetReconciler remove(RulesetReconciler change, Chain port, Chain mac)
      throws IOException {
    return change.remove(port).remove(mac);
  }

  /** Removes the chains of the network's attachments that are not valid. */
  static void gc(NetNsSession host, String network, Set<AttachmentId> valid) throws CniException {
    Predicate<String> stale = RuleOwner.stale(network, valid);
    try {
      host.nftables()
          .update(
              nftables -> {
                var change = new RulesetReconciler(nftables);
                for (InstalledRule rule : change.rules(PREROUTING)) {
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
      throw NetNsSession.failure("removing stale chains of table \"" + TABLE + "\"", e);
    }
  }
}
