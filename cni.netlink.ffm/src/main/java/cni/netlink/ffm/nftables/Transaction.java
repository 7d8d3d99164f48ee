package cni.netlink.ffm.nftables;

import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/**
 * Changes of nf_tables that are made all together or not at all. {@link NftablesSocket} commits
 * them.
 *
 * <p>What is added may be there already: a table, a chain with the same hook. A rule is added once
 * more.
 */
public final class Transaction {
  private static final int NFPROTO_UNSPEC = 0;

  private final List<NetlinkRequest> requests = new ArrayList<>();
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
    NetlinkRequest message =
        request(
                "add table \"" + table + "\"",
                NftablesConstants.NFT_MSG_NEWTABLE,
                0,
                table.family())
            .string(NftablesConstants.NFTA_TABLE_NAME, table.name());
    writeUserdata(message, NftablesConstants.NFTA_TABLE_USERDATA, comment);
    return this;
  }

  /** Sees to it that there is a chain for rules to go to. */
  public Transaction add(Chain chain) {
    return add(chain, Userdata.NONE);
  }

  /** Sees to it that there is a chain for rules to go to; a new one gets the comment. */
  public Transaction add(Chain chain, Userdata comment) {
    writeUserdata(newChain(chain), NftablesConstants.NFTA_CHAIN_USERDATA, comment);
    return this;
  }

  /** Sees to it that there is a base chain; a new one accepts what no rule drops. */
  public Transaction add(Chain chain, Hook hook) {
    newChain(chain)
        .string(NftablesConstants.NFTA_CHAIN_TYPE, hook.type())
        .nest(
            NftablesConstants.NFTA_CHAIN_HOOK,
            place ->
                place
                    .be32(NftablesConstants.NFTA_HOOK_HOOKNUM, hook.point())
                    .be32(NftablesConstants.NFTA_HOOK_PRIORITY, hook.priority()));
    return this;
  }

  private NetlinkRequest newChain(Chain chain) {
    return request(
            "add chain \"" + chain + "\"",
            NftablesConstants.NFT_MSG_NEWCHAIN,
            NetlinkConstants.NLM_F_CREATE,
            chain.family())
        .string(NftablesConstants.NFTA_CHAIN_TABLE, chain.table().name())
        .string(NftablesConstants.NFTA_CHAIN_NAME, chain.name());
  }

  /** Deletes every rule of a chain. */
  public Transaction flush(Chain chain) {
    deleteRules("flush chain \"" + chain + "\"", chain);
    return this;
  }

  /** Deletes a chain that has no rules and that no rule leads to. */
  public Transaction delete(Chain chain) {
    request("delete chain \"" + chain + "\"", NftablesConstants.NFT_MSG_DELCHAIN, 0, chain.family())
        .string(NftablesConstants.NFTA_CHAIN_TABLE, chain.table().name())
        .string(NftablesConstants.NFTA_CHAIN_NAME, chain.name());
    return this;
  }

  /** Adds a rule at the end of a chain. */
  public Transaction append(Chain chain, Rule rule) {
    return add(chain, rule, NetlinkConstants.NLM_F_APPEND);
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
    NetlinkRequest message =
        request(
                "add a rule to chain \"" + chain + "\"",
                NftablesConstants.NFT_MSG_NEWRULE,
                NetlinkConstants.NLM_F_CREATE | place,
                chain.family())
            .string(NftablesConstants.NFTA_RULE_TABLE, chain.table().name())
            .string(NftablesConstants.NFTA_RULE_CHAIN, chain.name())
            .nest(
                NftablesConstants.NFTA_RULE_EXPRESSIONS,
                list -> writeExpressions(list, rule, sets));
    // Matches of iptables want to know for which protocol they are asked.
    OptionalInt protocol = RuleBuilder.protocol(rule);
    if (protocol.isPresent() && rule.expressions().stream().anyMatch(Transaction::isCompatible)) {
      message.nest(
          NftablesConstants.NFTA_RULE_COMPAT,
          compat ->
              compat
                  .be32(NftablesConstants.NFTA_RULE_COMPAT_PROTO, protocol.getAsInt())
                  .be32(NftablesConstants.NFTA_RULE_COMPAT_FLAGS, 0));
    }
    writeUserdata(message, NftablesConstants.NFTA_RULE_USERDATA, rule.userdata());
    return this;
  }

  private static boolean isCompatible(Expression expression) {
    return expression instanceof Expression.XtMatch || expression instanceof Expression.XtTarget;
  }

  private static void writeExpressions(NetlinkRequest message, Rule rule, List<Integer> sets) {
    int[] nextSet = {0};
    for (Expression expression : rule.expressions()) {
      message.nest(
          NftablesConstants.NFTA_LIST_ELEM,
          element -> {
            element.string(NftablesConstants.NFTA_EXPR_NAME, expression.kind());
            element.nest(
                NftablesConstants.NFTA_EXPR_DATA,
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
  public Transaction delete(InstalledRule rule) {
    deleteRules("delete rule " + rule.handle() + " of chain \"" + rule.chain() + "\"", rule.chain())
        .be64(NftablesConstants.NFTA_RULE_HANDLE, rule.handle());
    return this;
  }

  private NetlinkRequest deleteRules(String what, Chain chain) {
    return request(what, NftablesConstants.NFT_MSG_DELRULE, 0, chain.family())
        .string(NftablesConstants.NFTA_RULE_TABLE, chain.table().name())
        .string(NftablesConstants.NFTA_RULE_CHAIN, chain.name());
  }

  private NetlinkRequest request(String what, int type, int flags, TableFamily family) {
    NetlinkRequest message = NftablesConstants.message(what, type, flags, family);
    requests.add(message);
    return message;
  }

  private static void writeUserdata(NetlinkRequest message, int attribute, Userdata userdata) {
    byte[] bytes = userdata.toBytes();
    if (bytes.length > 0) {
      message.bytes(attribute, bytes);
    }
  }

  /** The whole batch; it fails with ERESTART if the generation is another by then. */
  List<NetlinkRequest> batch(OptionalInt generation) {
    List<NetlinkRequest> batch = new ArrayList<>(requests.size() + 2);
    NetlinkRequest begin = frame("begin a transaction", NftablesConstants.NFNL_MSG_BATCH_BEGIN);
    generation.ifPresent(id -> begin.be32(NftablesConstants.NFNL_BATCH_GENID, id));
    batch.add(begin);
    batch.addAll(requests);
    batch.add(frame("commit a transaction", NftablesConstants.NFNL_MSG_BATCH_END));
    return batch;
  }

  private static NetlinkRequest frame(String what, int type) {
    return new NetlinkRequest(what, type, 0)
        .u8(NFPROTO_UNSPEC)
        .u8(0)
        .u8(0)
        .u8(NftablesConstants.NFNL_SUBSYS_NFTABLES); // the resource, in the network's byte order
  }
}
