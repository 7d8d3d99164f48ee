// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import static cni.netlink.ffm.nftables.Expression.Compare.EQUAL;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Differences;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.Hook;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.RulesetUpdate;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.nftables.Userdata;
import cni.netlink.ffm.route.Mac;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RuleDifferences;
import cni.plugins.support.RuleOwner;
import java.io.IOException;
import java.util.ArrayList;
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

  /**
   * Adds the rules that only let frames from an address pass, and deletes others of the attachment.
   *
   * @param port the bridge's port
   * @param mac the hardware address of the container's interface
   */
  void add(String port, String mac) throws CniException {
    try {
      update(Optional.of(port), List.of(mac)).apply();
    } catch (IOException e) {
      throw NetNsSession.failure("adding the macspoofchk rules of port " + port, e);
    }
  }

  /**
   * Compares the rules with the desired ones.
   *
   * @param current whether there were rules before
   * @param desired whether there shall be rules
   */
  void compare(boolean current, boolean desired, String port, String mac, Differences differences)
      throws CniException {
    if (!current && !desired) {
      return;
    }
    try {
      RulesetUpdate<CniException> update =
          update(desired ? Optional.of(port) : Optional.empty(), List.of(mac));
      String addresses = "frames from other hardware addresses than " + mac;
      RuleDifferences.add(
          differences,
          update.plan(false),
          addresses + (desired ? " are not dropped" : " are still dropped") + " (macspoofchk)",
          (desired ? "drop " : "pass ") + addresses,
          update::apply,
          update::undo);
    } catch (IOException e) {
      throw NetNsSession.failure("listing table \"" + TABLE + "\"", e);
    }
  }

  /**
   * Adds the change after which frames from two addresses pass: those of the interface before and
   * after the change of its address, so that neither its frames nor the announcements of the new
   * address are dropped.
   */
  void admitBoth(String port, String before, String after, Differences differences)
      throws CniException {
    try {
      RulesetUpdate<CniException> update = update(Optional.of(port), List.of(before, after));
      RuleDifferences.add(
          differences,
          update.plan(false),
          "frames from hardware address " + after + " are dropped (macspoofchk)",
          "pass frames from hardware addresses %s and %s".formatted(before, after),
          update::apply,
          update::undo);
    } catch (IOException e) {
      throw NetNsSession.failure("listing table \"" + TABLE + "\"", e);
    }
  }

  /** Plans the rules of a port, or their removal without one. */
  private RulesetUpdate<CniException> update(Optional<String> port, List<String> macs)
      throws KernelException {
    return new RulesetUpdate<>(
        host.nftables(),
        change -> {
          change.rules(TABLE); // in one request
          if (port.isPresent()) {
            ensure(change, port.get(), macs);
          } else {
            remove(change, portChain, macChain);
          }
        },
        rule ->
            belongsToAttachment(rule)
                || rule.chain().equals(portChain)
                || rule.chain().equals(macChain));
  }

  private void ensure(RulesetReconciler change, String port, List<String> macs) throws IOException {
    change.ensure(PREROUTING, Optional.of(HOOK), Userdata.NONE).ensure(portChain).ensure(macChain);
    List<InstalledRule> jumps =
        change.rules(PREROUTING).stream().filter(this::belongsToAttachment).toList();
    setRules(change, PREROUTING, jumps, List.of(portJumpRule(port)));
    setRules(
        change,
        portChain,
        change.rules(portChain),
        List.of(tagged(rule().append(Verdict.jump(macChain.name())))));
    List<Rule> rules = new ArrayList<>();
    macs.forEach(mac -> rules.add(ownMacRule(mac)));
    rules.add(tagged(rule().append(Verdict.DROP)));
    setRules(change, macChain, change.rules(macChain), rules);
  }

  /** Replaces rules unless they are the wanted ones, in this order. */
  private static void setRules(
      RulesetReconciler change, Chain chain, List<InstalledRule> installed, List<Rule> wanted) {
    boolean equal = installed.size() == wanted.size();
    for (int i = 0; equal && i < wanted.size(); i++) {
      equal = installed.get(i).rule().isEquivalentTo(wanted.get(i));
    }
    if (!equal) {
      installed.forEach(change::delete);
      wanted.forEach(rule -> change.add(chain, rule));
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
