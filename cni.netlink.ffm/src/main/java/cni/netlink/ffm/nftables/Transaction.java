// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.ExpressionAttributes.NFTA_LOOKUP_SET_ID;
import static cni.netlink.ffm.nftables.NftablesConstants.*;

import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkRequest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * A list of changes of nf_tables that the kernel applies atomically. {@link NftablesSocket#commit}
 * commits it.
 *
 * <p>Adding a table or a chain that exists changes nothing, provided that the chain has the same
 * hook. Adding a rule always adds another one.
 */
public final class Transaction {
  private final List<NetlinkRequest> requests = new ArrayList<>();
  private int lastSetId;

  /** Creates an empty transaction. */
  public Transaction() {}

  /** Returns whether there is nothing to commit. */
  public boolean isEmpty() {
    return requests.isEmpty();
  }

  /** Adds a table. */
  public Transaction add(Table table) {
    return add(table, Userdata.NONE);
  }

  /** Adds a table with a comment. One that exists keeps its comment. */
  public Transaction add(Table table, Userdata comment) {
    NetlinkRequest message =
        request("add table \"" + table + "\"", NFT_MSG_NEWTABLE, 0, table.family())
            .string(NFTA_TABLE_NAME, table.name());
    writeUserdata(message, NFTA_TABLE_USERDATA, comment);
    return this;
  }

  /**
   * Adds a table that belongs to the socket that commits this: no other socket can change it, and
   * the kernel deletes it when that socket is closed, also because its process was killed
   * (NFT_TABLE_F_OWNER, Linux 5.12 and later; the kernel refuses it before).
   */
  public Transaction addOwned(Table table) {
    request("add table \"" + table + "\"", NFT_MSG_NEWTABLE, 0, table.family())
        .string(NFTA_TABLE_NAME, table.name())
        .be32(NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
    return this;
  }

  /** Adds a regular chain, one that rules jump to. */
  public Transaction add(Chain chain) {
    return add(chain, Userdata.NONE);
  }

  /** Adds a regular chain with a comment. One that exists keeps its comment. */
  public Transaction add(Chain chain, Userdata comment) {
    writeUserdata(newChain(chain), NFTA_CHAIN_USERDATA, comment);
    return this;
  }

  /** Adds a base chain, with policy accept unless it exists. */
  public Transaction add(Chain chain, Hook hook) {
    newChain(chain)
        .string(NFTA_CHAIN_TYPE, hook.type())
        .nest(
            NFTA_CHAIN_HOOK,
            request ->
                request
                    .be32(NFTA_HOOK_HOOKNUM, hook.point())
                    .be32(NFTA_HOOK_PRIORITY, hook.priority()));
    return this;
  }

  private NetlinkRequest newChain(Chain chain) {
    return request(
            "add chain \"" + chain + "\"",
            NFT_MSG_NEWCHAIN,
            NetlinkConstants.NLM_F_CREATE,
            chain.family())
        .string(NFTA_CHAIN_TABLE, chain.table().name())
        .string(NFTA_CHAIN_NAME, chain.name());
  }

  /** Deletes a table with everything in it. */
  public Transaction delete(Table table) {
    request("delete table \"" + table + "\"", NFT_MSG_DELTABLE, 0, table.family())
        .string(NFTA_TABLE_NAME, table.name());
    return this;
  }

  /** Deletes every rule of a chain. */
  public Transaction flush(Chain chain) {
    deleteRules("flush chain \"" + chain + "\"", chain);
    return this;
  }

  /** Deletes a chain. The commit fails with EBUSY if it has rules or a rule jumps to it. */
  public Transaction delete(Chain chain) {
    request("delete chain \"" + chain + "\"", NFT_MSG_DELCHAIN, 0, chain.family())
        .string(NFTA_CHAIN_TABLE, chain.table().name())
        .string(NFTA_CHAIN_NAME, chain.name());
    return this;
  }

  /** Adds a set or map without elements. One that exists must be of the same kind. */
  public Transaction add(Table table, NamedSet set) {
    requests.add(new NamedSetMessages(table, set).add(++lastSetId));
    return this;
  }

  /** Deletes a set. The commit fails with EBUSY if a rule looks it up. */
  public Transaction delete(Table table, NamedSet set) {
    requests.add(new NamedSetMessages(table, set).delete());
    return this;
  }

  /** Deletes all elements of a set. */
  public Transaction flush(Table table, NamedSet set) {
    requests.add(new NamedSetMessages(table, set).flush());
    return this;
  }

  /**
   * Adds elements to a set. One that exists already changes nothing; with another verdict, or a
   * range that overlaps another one, the commit fails with EEXIST or EBUSY.
   */
  public Transaction add(Table table, NamedSet set, Collection<SetElement> elements) {
    requests.addAll(new NamedSetMessages(table, set).addElements(elements, Optional.empty()));
    return this;
  }

  /** Adds elements that expire to a set with timeouts. One that exists keeps its timeout. */
  public Transaction add(
      Table table, NamedSet set, Collection<SetElement> elements, Duration timeout) {
    requests.addAll(new NamedSetMessages(table, set).addElements(elements, Optional.of(timeout)));
    return this;
  }

  /** Deletes elements of a set. The commit fails with ENOENT if one is not in it. */
  public Transaction delete(Table table, NamedSet set, Collection<SetElement> elements) {
    requests.addAll(new NamedSetMessages(table, set).deleteElements(elements));
    return this;
  }

  /** Deletes elements of a set that may have expired; those are added first. */
  public Transaction deletePresent(Table table, NamedSet set, Collection<SetElement> elements) {
    return add(table, set, elements).delete(table, set, elements);
  }

  /** Adds a limit that rules refer to by name. */
  public Transaction add(Table table, String name, TableContent.NamedLimit limit) {
    limitRequest("add limit", table, name, NFT_MSG_NEWOBJ, NetlinkConstants.NLM_F_CREATE)
        .nest(NFTA_OBJ_DATA, limit::write);
    return this;
  }

  /** Deletes a limit. The commit fails with EBUSY if a rule refers to it. */
  public Transaction deleteLimit(Table table, String name) {
    limitRequest("delete limit", table, name, NFT_MSG_DELOBJ, 0);
    return this;
  }

  private NetlinkRequest limitRequest(
      String action, Table table, String name, int type, int flags) {
    return request(action + " \"" + table + " " + name + "\"", type, flags, table.family())
        .string(NFTA_OBJ_TABLE, table.name())
        .string(NFTA_OBJ_NAME, name)
        .be32(NFTA_OBJ_TYPE, Expression.ObjectReference.LIMIT);
  }

  /** Adds a rule at the end of a chain. */
  public Transaction append(Chain chain, Rule rule) {
    return add(chain, rule, NetlinkConstants.NLM_F_APPEND, OptionalLong.empty());
  }

  /** Adds a rule at the beginning of a chain. */
  public Transaction insert(Chain chain, Rule rule) {
    return add(chain, rule, 0, OptionalLong.empty());
  }

  /** Adds a rule directly before a listed one, in the same chain. */
  public Transaction insertBefore(InstalledRule next, Rule rule) {
    return add(next.chain(), rule, 0, OptionalLong.of(next.handle()));
  }

  /** Adds a rule directly after a listed one, in the same chain. */
  public Transaction insertAfter(InstalledRule previous, Rule rule) {
    OptionalLong position = OptionalLong.of(previous.handle());
    return add(previous.chain(), rule, NetlinkConstants.NLM_F_APPEND, position);
  }

  private Transaction add(Chain chain, Rule rule, int placeFlag, OptionalLong position) {
    List<Integer> setIds = new ArrayList<>();
    for (Expression expression : rule.expressions()) {
      if (expression instanceof Expression.Lookup lookup && lookup.content().isPresent()) {
        setIds.add(++lastSetId);
        requests.addAll(lookup.content().get().requests(chain.table(), lastSetId));
      }
    }
    NetlinkRequest message =
        request(
                "add a rule to chain \"" + chain + "\"",
                NFT_MSG_NEWRULE,
                NetlinkConstants.NLM_F_CREATE | placeFlag,
                chain.family())
            .string(NFTA_RULE_TABLE, chain.table().name())
            .string(NFTA_RULE_CHAIN, chain.name())
            .nest(NFTA_RULE_EXPRESSIONS, list -> writeExpressions(list, rule, setIds));
    position.ifPresent(handle -> message.be64(NFTA_RULE_POSITION, handle));
    // A match of iptables checks that the rule is for its protocol.
    OptionalInt protocol = RuleBuilder.protocol(rule);
    if (protocol.isPresent() && rule.expressions().stream().anyMatch(Transaction::isXtables)) {
      message.nest(
          NFTA_RULE_COMPAT,
          compat ->
              compat
                  .be32(NFTA_RULE_COMPAT_PROTO, protocol.getAsInt())
                  .be32(NFTA_RULE_COMPAT_FLAGS, 0));
    }
    writeUserdata(message, NFTA_RULE_USERDATA, rule.userdata());
    return this;
  }

  private static boolean isXtables(Expression expression) {
    return expression instanceof Expression.XtMatch || expression instanceof Expression.XtTarget;
  }

  private static void writeExpressions(NetlinkRequest message, Rule rule, List<Integer> setIds) {
    Iterator<Integer> nextSet = setIds.iterator();
    for (Expression expression : rule.expressions()) {
      message.nest(
          NFTA_LIST_ELEM,
          element -> {
            element.string(NFTA_EXPR_NAME, expression.kind());
            element.nest(
                NFTA_EXPR_DATA,
                data -> {
                  expression.write(data);
                  if (expression instanceof Expression.Lookup lookup
                      && lookup.content().isPresent()) {
                    data.be32(NFTA_LOOKUP_SET_ID, nextSet.next());
                  }
                });
          });
    }
  }

  /** Deletes a listed rule. */
  public Transaction delete(InstalledRule rule) {
    deleteRules("delete rule " + rule.handle() + " of chain \"" + rule.chain() + "\"", rule.chain())
        .be64(NFTA_RULE_HANDLE, rule.handle());
    return this;
  }

  private NetlinkRequest deleteRules(String description, Chain chain) {
    return request(description, NFT_MSG_DELRULE, 0, chain.family())
        .string(NFTA_RULE_TABLE, chain.table().name())
        .string(NFTA_RULE_CHAIN, chain.name());
  }

  private NetlinkRequest request(String description, int type, int flags, TableFamily family) {
    NetlinkRequest message =
        NetfilterMessages.nftRequest(description, type, flags, family.number());
    requests.add(message);
    return message;
  }

  private static void writeUserdata(NetlinkRequest message, int attribute, Userdata userdata) {
    byte[] bytes = userdata.toBytes();
    if (bytes.length > 0) {
      message.bytes(attribute, bytes);
    }
  }

  /**
   * Returns the messages of the transaction.
   *
   * @param generation the generation of the ruleset that the transaction is for; if given, the
   *     commit fails with ERESTART if the ruleset has changed since
   */
  List<NetlinkRequest> batch(OptionalInt generation) {
    List<NetlinkRequest> batch = new ArrayList<>(requests.size() + 2);
    NetlinkRequest begin = frame("begin a transaction", NFNL_MSG_BATCH_BEGIN);
    generation.ifPresent(id -> begin.be32(NFNL_BATCH_GENID, id));
    batch.add(begin);
    batch.addAll(requests);
    batch.add(frame("commit a transaction", NFNL_MSG_BATCH_END));
    return batch;
  }

  private static NetlinkRequest frame(String description, int type) {
    return NetfilterMessages.nfgenmsg(
        new NetlinkRequest(description, type, 0),
        NetfilterMessages.NFPROTO_UNSPEC,
        NFNL_SUBSYS_NFTABLES);
  }
}
