// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import static cni.netlink.ffm.NetlinkConstants.NLM_F_CREATE;
import static cni.netlink.ffm.NetlinkConstants.NLM_F_DUMP;
import static cni.netlink.ffm.NetlinkConstants.NLM_F_EXCL;
import static cni.netlink.ffm.route.RtnetlinkConstants.*;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkRequest;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * A policy routing rule that selects a routing table, ip-rule(8) (struct fib_rule_hdr of
 * linux/fib_rules.h).
 *
 * <pre>{@code
 * var marked = PolicyRule.lookup(IpFamily.IPV4, RuleSelector.ANY.withMark(0x10), 100);
 * socket.execute(marked.withPriority(500).addRequest());
 * }</pre>
 *
 * @param family the family of the packets
 * @param selector the packets that the rule applies to
 * @param table the routing table; 0 in a rule from the kernel that does not select one
 * @param priority rules with lower priorities are evaluated first; 0 in a request lets the kernel
 *     choose the next free one below the lowest of the added rules
 */
public record PolicyRule(IpFamily family, RuleSelector selector, int table, int priority) {
  private static final int FRA_PRIORITY = 6;
  private static final int FRA_TABLE = 15;
  private static final int FR_ACT_TO_TBL = 1;

  /** sizeof(struct fib_rule_hdr): eight fields of u8, flags u32. */
  private static final int FIB_RULE_HDR = 12;

  /** Returns a rule that routes some packets of a family by a table. */
  public static PolicyRule lookup(IpFamily family, RuleSelector selector, int table) {
    return new PolicyRule(family, selector, table, 0);
  }

  /** Returns a rule that routes packets from one address by a table. */
  public static PolicyRule fromSource(InetAddress source, int table) {
    return lookup(IpFamily.of(source), RuleSelector.ANY.from(source), table);
  }

  /** Returns a copy with another priority. */
  public PolicyRule withPriority(int newPriority) {
    return new PolicyRule(family, selector, table, newPriority);
  }

  /** Returns the network that the packets come from; absent for any. */
  public Optional<InetAddress> source() {
    return selector.source().map(RuleSelector.Prefix::address);
  }

  /** Returns the length of the source's prefix, in bits; 0 if there is no source. */
  public int sourcePrefix() {
    return prefixLength(selector.source());
  }

  /** Returns whether the rule has no selector besides the source. */
  public boolean matchesSourceOnly() {
    return selector.destination().isEmpty()
        && selector.mark().isEmpty()
        && selector.inputInterface().isEmpty()
        && selector.outputInterface().isEmpty()
        && selector.protocol().isEmpty()
        && selector.sourcePorts().isEmpty()
        && selector.destinationPorts().isEmpty()
        && !selector.isPartial();
  }

  /** Returns a request that adds the rule. It fails with EEXIST if there is an identical one. */
  public NetlinkRequest addRequest() {
    return request("add", RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
  }

  /**
   * Returns a request that deletes the first rule that has these selectors, this table and, unless
   * it is 0, this priority; it may have further selectors. The request fails with ENOENT if there
   * is none.
   */
  public NetlinkRequest deleteRequest() {
    return request("delete", RTM_DELRULE, 0);
  }

  private NetlinkRequest request(String verb, int type, int flags) {
    String packets = selector.toString();
    String name = verb + " rule " + packets + (packets.isEmpty() ? "" : " ") + "table " + table;
    var message = new NetlinkRequest(name, type, flags);
    int shortTable = table > 0 && table < 256 ? table : 0; // a longer number needs FRA_TABLE
    message.u8(family.number()).u8(prefixLength(selector.destination()));
    message.u8(prefixLength(selector.source())).u8(0);
    message.u8(shortTable).u8(0).u8(0).u8(FR_ACT_TO_TBL).u32(0);
    selector.append(message);
    if (priority != 0) {
      message.u32(FRA_PRIORITY, priority);
    }
    if (shortTable != table) {
      message.u32(FRA_TABLE, table);
    }
    return message;
  }

  private static int prefixLength(Optional<RuleSelector.Prefix> prefix) {
    return prefix.isPresent() ? prefix.get().length() : 0;
  }

  /** Returns a request for the rules of a family. */
  static NetlinkRequest listRequest(IpFamily family) {
    var message = new NetlinkRequest("list rules", RTM_GETRULE, NLM_F_DUMP);
    return message.u8(family.number()).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u32(0);
  }

  static PolicyRule read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = RouteMessages.attributes(message, FIB_RULE_HDR);
    return new PolicyRule(
        IpFamily.ofNumber(Byte.toUnsignedInt(message.get(0))),
        RuleSelector.read(message, attributes),
        attributes.u32(FRA_TABLE).orElse(Byte.toUnsignedInt(message.get(4))),
        attributes.u32(FRA_PRIORITY).orElse(0));
  }
}
