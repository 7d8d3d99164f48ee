// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.ExpressionAttributes.*;
import static cni.netlink.ffm.nftables.NftablesConstants.*;
import static java.nio.charset.StandardCharsets.US_ASCII;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.NetlinkSocket;
import cni.netlink.ffm.nftables.TableContent.ChainContent;
import cni.netlink.ffm.nftables.TableContent.NamedLimit;
import cni.netlink.ffm.nftables.TableContent.SetContent;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Lists the content of a table, which takes a request for each kind of object and each set. */
final class TableReader {
  /** The rate of a limit that {@link NamedLimit} cannot represent, which the kernel never has. */
  private static final long UNREADABLE_RATE = Long.MAX_VALUE;

  private static final Bytes ANONYMOUS = Bytes.of(AnonymousSet.NAME_PREFIX.getBytes(US_ASCII));

  private final NetlinkSocket socket;
  private final Table table;
  private final Map<String, AnonymousSet> anonymousSets = new HashMap<>();
  private final Map<String, SetContent> sets = new HashMap<>();
  private final Map<String, Map<SetElement, PacketCount>> elementCounts = new HashMap<>();
  private final Map<String, List<Rule>> rules = new HashMap<>();
  private final Map<String, List<PacketCount>> ruleCounts = new HashMap<>();

  TableReader(NetlinkSocket socket, Table table) {
    this.socket = socket;
    this.table = table;
  }

  /**
   * Lists everything.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  TableCounters read() throws IOException {
    readSets();
    readRules();
    var content = new TableContent(table, readChains(), sets, readLimits());
    return new TableCounters(content, elementCounts, ruleCounts);
  }

  /**
   * Lists the elements of one set, including those that expire.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  Map<SetElement, PacketCount> read(String name) throws IOException {
    for (ByteBuffer message : list("sets", NFT_MSG_GETSET, NFTA_SET_TABLE)) {
      var set = new NamedSetReader(NetfilterMessages.attributes(message));
      if (set.name().equals(name)) {
        readElements(set);
        return set.counts();
      }
    }
    return Map.of();
  }

  private void readSets() throws IOException {
    for (ByteBuffer message : list("sets", NFT_MSG_GETSET, NFTA_SET_TABLE)) {
      var set = new NamedSetReader(NetfilterMessages.attributes(message));
      if (!set.hasTimeouts()) {
        readElements(set);
      }
      if (set.isAnonymous()) {
        anonymousSets.put(set.name(), set.anonymous());
      } else {
        sets.put(set.name(), set.content());
        elementCounts.put(set.name(), set.counts());
      }
    }
  }

  private void readElements(NamedSetReader set) throws IOException {
    NetlinkRequest request =
        request("elements of set \"" + table + " " + set.name() + "\"", NFT_MSG_GETSETELEM)
            .string(NFTA_SET_ELEM_LIST_TABLE, table.name())
            .string(NFTA_SET_ELEM_LIST_SET, set.name());
    for (ByteBuffer message : execute(request)) {
      set.accept(NetfilterMessages.attributes(message));
    }
  }

  private void readRules() throws IOException {
    for (ByteBuffer message : list("rules", NFT_MSG_GETRULE, NFTA_RULE_TABLE)) {
      InstalledRule installed = InstalledRule.read(message);
      if (installed.chain().table().equals(table)) {
        String chain = installed.chain().name();
        rules.computeIfAbsent(chain, name -> new ArrayList<>()).add(withSets(installed.rule()));
        ruleCounts
            .computeIfAbsent(chain, name -> new ArrayList<>())
            .add(count(NetfilterMessages.attributes(message)));
      }
    }
  }

  /** Returns a rule with the elements of the sets that belong to it. */
  private Rule withSets(Rule rule) {
    if (!rule.mightMatch(ANONYMOUS)) {
      return rule;
    }
    return new Rule(rule.expressions().stream().map(this::withSet).toList(), rule.userdata());
  }

  private Expression withSet(Expression expression) {
    if (!(expression instanceof Expression.Lookup lookup)
        || !anonymousSets.containsKey(lookup.set())) {
      return expression;
    }
    AnonymousSet content = anonymousSets.get(lookup.set());
    return Expression.Lookup.ofSet(content, lookup.register(), lookup.inverted());
  }

  /** Reads the first counter of a rule. */
  static PacketCount count(Attributes rule) throws MalformedMessageException {
    Optional<Attributes> list = rule.nested(NFTA_RULE_EXPRESSIONS);
    if (list.isPresent()) {
      for (ByteBuffer expression : list.get().all(NFTA_LIST_ELEM)) {
        Optional<PacketCount> count = PacketCount.read(Attributes.read(expression));
        if (count.isPresent()) {
          return count.get();
        }
      }
    }
    return PacketCount.ZERO;
  }

  private Map<String, ChainContent> readChains() throws IOException {
    Map<String, ChainContent> chains = new HashMap<>();
    for (ByteBuffer message : list("chains", NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE)) {
      InstalledChain chain = InstalledChain.read(message);
      String name = chain.chain().name();
      if (chain.chain().table().equals(table)) {
        chains.put(name, new ChainContent(chain.hook(), rules.getOrDefault(name, List.of())));
      }
    }
    return chains;
  }

  private Map<String, NamedLimit> readLimits() throws IOException {
    Map<String, NamedLimit> limits = new HashMap<>();
    for (ByteBuffer message : list("objects", NFT_MSG_GETOBJ, NFTA_OBJ_TABLE)) {
      Attributes object = NetfilterMessages.attributes(message);
      boolean isLimit = object.be32(NFTA_OBJ_TYPE).orElse(0) == Expression.ObjectReference.LIMIT;
      if (isLimit && object.string(NFTA_OBJ_TABLE).orElse("").equals(table.name())) {
        limits.put(object.string(NFTA_OBJ_NAME).orElse(""), limit(object));
      }
    }
    return limits;
  }

  static NamedLimit limit(Attributes object) throws MalformedMessageException {
    Attributes data = object.nested(NFTA_OBJ_DATA).orElse(Attributes.NONE);
    long rate = data.be64(NFTA_LIMIT_RATE).orElse(0);
    boolean isReadable =
        rate > 0
            && data.be64(NFTA_LIMIT_UNIT).orElse(0) == 1
            && data.be32(NFTA_LIMIT_TYPE).orElse(0) == NFT_LIMIT_PKT_BYTES
            && data.be32(NFTA_LIMIT_FLAGS).orElse(0) == NFT_LIMIT_F_INV;
    long burst = Integer.toUnsignedLong(data.be32(NFTA_LIMIT_BURST).orElse(0));
    return new NamedLimit(isReadable ? rate : UNREADABLE_RATE, burst);
  }

  private List<ByteBuffer> list(String objects, int type, int tableAttribute) throws IOException {
    return execute(
        request(objects + " of table \"" + table + "\"", type)
            .string(tableAttribute, table.name()));
  }

  private NetlinkRequest request(String objects, int type) {
    return NetfilterMessages.nftRequest(
        "list " + objects, type, NetlinkConstants.NLM_F_DUMP, table.family().number());
  }

  /** Returns nothing if the table, or the set, is not there. */
  private List<ByteBuffer> execute(NetlinkRequest request) throws IOException {
    try {
      return socket.execute(request);
    } catch (NetlinkException e) {
      if (e.is(Errno.ENOENT)) {
        return List.of();
      }
      throw e;
    }
  }
}
