package cni.netlink.ffm.netfilter;

import cni.netlink.ffm.Netlink;
import cni.netlink.ffm.NetlinkMessage;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/**
 * Changes of nf_tables that are made all together or not at all. {@link Nftables} commits them.
 *
 * <p>What is added may be there already: a table, a chain with the same hook. A rule is added once
 * more.
 */
public final class Transaction {
  private static final int NFPROTO_UNSPEC = 0;

  private final List<NetlinkMessage> requests = new ArrayList<>();
  private int lastSet;

  /** Begins with no changes. */
  public Transaction() {}

  /** Whether there is nothing to commit. */
  public boolean isEmpty() {
    return requests.isEmpty();
  }

  /** Sees to it that there is a table. */
  public Transaction add(Table table) {
    return add(table, Userdata.NONE);
  }

  /** Sees to it that there is a table; a new one gets the comment. */
  public Transaction add(Table table, Userdata comment) {
    NetlinkMessage message =
        request("add table \"" + table + "\"", NfTables.NFT_MSG_NEWTABLE, 0, table.family())
            .string(NfTables.NFTA_TABLE_NAME, table.name());
    writeUserdata(message, NfTables.NFTA_TABLE_USERDATA, comment);
    return this;
  }

  /** Sees to it that there is a chain for rules to go to. */
  public Transaction add(Chain chain) {
    return add(chain, Userdata.NONE);
  }

  /** Sees to it that there is a chain for rules to go to; a new one gets the comment. */
  public Transaction add(Chain chain, Userdata comment) {
    writeUserdata(newChain(chain), NfTables.NFTA_CHAIN_USERDATA, comment);
    return this;
  }

  /** Sees to it that there is a base chain; a new one accepts what no rule drops. */
  public Transaction add(Chain chain, Hook hook) {
    newChain(chain)
        .string(NfTables.NFTA_CHAIN_TYPE, hook.type())
        .nest(
            NfTables.NFTA_CHAIN_HOOK,
            place ->
                place
                    .be32(NfTables.NFTA_HOOK_HOOKNUM, hook.point())
                    .be32(NfTables.NFTA_HOOK_PRIORITY, hook.priority()));
    return this;
  }

  private NetlinkMessage newChain(Chain chain) {
    return request(
            "add chain \"" + chain + "\"",
            NfTables.NFT_MSG_NEWCHAIN,
            Netlink.NLM_F_CREATE,
            chain.family())
        .string(NfTables.NFTA_CHAIN_TABLE, chain.table().name())
        .string(NfTables.NFTA_CHAIN_NAME, chain.name());
  }

  /** Deletes every rule of a chain. */
  public Transaction flush(Chain chain) {
    deleteRules("flush chain \"" + chain + "\"", chain);
    return this;
  }

  /** Deletes a chain that has no rules and that no rule leads to. */
  public Transaction delete(Chain chain) {
    request("delete chain \"" + chain + "\"", NfTables.NFT_MSG_DELCHAIN, 0, chain.family())
        .string(NfTables.NFTA_CHAIN_TABLE, chain.table().name())
        .string(NfTables.NFTA_CHAIN_NAME, chain.name());
    return this;
  }

  /** Adds a rule at the end of a chain. */
  public Transaction append(Chain chain, Rule rule) {
    return add(chain, rule, Netlink.NLM_F_APPEND);
  }

  /** Adds a rule at the beginning of a chain. */
  public Transaction insert(Chain chain, Rule rule) {
    return add(chain, rule, 0);
  }

  private Transaction add(Chain chain, Rule rule, int place) {
    List<Integer> sets = new ArrayList<>();
    for (Expression expression : rule.expressions()) {
      if (expression instanceof Expression.Lookup lookup && lookup.content().isPresent()) {
        sets.add(++lastSet);
        requests.addAll(lookup.content().get().requests(chain.table(), lastSet));
      }
    }
    NetlinkMessage message =
        request(
                "add a rule to chain \"" + chain + "\"",
                NfTables.NFT_MSG_NEWRULE,
                Netlink.NLM_F_CREATE | place,
                chain.family())
            .string(NfTables.NFTA_RULE_TABLE, chain.table().name())
            .string(NfTables.NFTA_RULE_CHAIN, chain.name())
            .nest(NfTables.NFTA_RULE_EXPRESSIONS, list -> writeExpressions(list, rule, sets));
    // Matches of iptables want to know for which protocol they are asked.
    OptionalInt protocol = RuleBuilder.protocol(rule);
    if (protocol.isPresent() && rule.expressions().stream().anyMatch(Transaction::isCompatible)) {
      message.nest(
          NfTables.NFTA_RULE_COMPAT,
          compat ->
              compat
                  .be32(NfTables.NFTA_RULE_COMPAT_PROTO, protocol.getAsInt())
                  .be32(NfTables.NFTA_RULE_COMPAT_FLAGS, 0));
    }
    writeUserdata(message, NfTables.NFTA_RULE_USERDATA, rule.userdata());
    return this;
  }

  private static boolean isCompatible(Expression expression) {
    return expression instanceof Expression.Match || expression instanceof Expression.Target;
  }

  private static void writeExpressions(NetlinkMessage message, Rule rule, List<Integer> sets) {
    int[] nextSet = {0};
    for (Expression expression : rule.expressions()) {
      message.nest(
          NfTables.NFTA_LIST_ELEM,
          element -> {
            element.string(NfTables.NFTA_EXPR_NAME, expression.kind());
            element.nest(
                NfTables.NFTA_EXPR_DATA,
                data -> {
                  expression.write(data);
                  if (expression instanceof Expression.Lookup lookup
                      && lookup.content().isPresent()) {
                    data.be32(4, sets.get(nextSet[0]++)); // NFTA_LOOKUP_SET_ID
                  }
                });
          });
    }
  }

  /** Deletes a rule that was listed. */
  public Transaction delete(ListedRule rule) {
    deleteRules("delete rule " + rule.handle() + " of chain \"" + rule.chain() + "\"", rule.chain())
        .be64(NfTables.NFTA_RULE_HANDLE, rule.handle());
    return this;
  }

  private NetlinkMessage deleteRules(String what, Chain chain) {
    return request(what, NfTables.NFT_MSG_DELRULE, 0, chain.family())
        .string(NfTables.NFTA_RULE_TABLE, chain.table().name())
        .string(NfTables.NFTA_RULE_CHAIN, chain.name());
  }

  private NetlinkMessage request(String what, int type, int flags, Family family) {
    NetlinkMessage message = NfTables.message(what, type, flags, family);
    requests.add(message);
    return message;
  }

  private static void writeUserdata(NetlinkMessage message, int attribute, Userdata userdata) {
    byte[] bytes = userdata.toBytes();
    if (bytes.length > 0) {
      message.bytes(attribute, bytes);
    }
  }

  /** The whole batch; it fails with ERESTART if the generation is another by then. */
  List<NetlinkMessage> batch(OptionalInt generation) {
    List<NetlinkMessage> batch = new ArrayList<>(requests.size() + 2);
    NetlinkMessage begin = frame("begin a transaction", NfTables.NFNL_MSG_BATCH_BEGIN);
    generation.ifPresent(id -> begin.be32(NfTables.NFNL_BATCH_GENID, id));
    batch.add(begin);
    batch.addAll(requests);
    batch.add(frame("commit a transaction", NfTables.NFNL_MSG_BATCH_END));
    return batch;
  }

  private static NetlinkMessage frame(String what, int type) {
    return new NetlinkMessage(what, type, 0)
        .u8(NFPROTO_UNSPEC)
        .u8(0)
        .u8(0)
        .u8(NfTables.NFNL_SUBSYS_NFTABLES); // the resource, in the network's byte order
  }
}
