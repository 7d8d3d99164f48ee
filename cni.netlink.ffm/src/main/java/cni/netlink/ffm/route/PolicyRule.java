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
import java.util.List;
import java.util.Optional;

/**
 * A policy routing rule that selects a routing table, ip-rule(8) (struct fib_rule_hdr of
 * linux/fib_rules.h).
 *
 * @param family the family of the packets
 * @param source the network that the packets come from; empty for any
 * @param sourcePrefix the length of the source's prefix, in bits
 * @param table the routing table
 * @param priority rules with lower priorities are evaluated first; 0 in a request lets the kernel
 *     choose the next free one below the lowest of the added rules
 * @param matchesSourceOnly whether the rule has no selector besides the source
 */
public record PolicyRule(
    IpFamily family,
    Optional<InetAddress> source,
    int sourcePrefix,
    int table,
    int priority,
    boolean matchesSourceOnly) {
  /** FRA_DST, _IIFNAME, _FWMARK, _OIFNAME, _L3MDEV, _UID_RANGE, _IP_PROTO, _SPORT and _DPORT. */
  private static final List<Integer> SELECTORS = List.of(1, 3, 10, 17, 19, 20, 22, 23, 24);

  private static final int FRA_SRC = 2;
  private static final int FRA_PRIORITY = 6;
  private static final int FRA_TABLE = 15;
  private static final int FR_ACT_TO_TBL = 1;

  /** sizeof(struct fib_rule_hdr): eight fields of u8, flags u32. */
  private static final int FIB_RULE_HDR = 12;

  /** Returns a rule that routes packets from one address by a table. */
  public static PolicyRule fromSource(InetAddress source, int table) {
    IpFamily family = IpFamily.of(source);
    return new PolicyRule(family, Optional.of(source), family.addressBits(), table, 0, true);
  }

  /** Returns a request that adds the rule. It fails with EEXIST if there is an identical one. */
  public NetlinkRequest addRequest() {
    return request("add", RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
  }

  /** Returns a request that deletes the rule. It fails with ENOENT if there is none. */
  public NetlinkRequest deleteRequest() {
    return request("delete", RTM_DELRULE, 0);
  }

  private NetlinkRequest request(String verb, int type, int flags) {
    String from = source.map(address -> " from " + address.getHostAddress()).orElse("");
    var message = new NetlinkRequest(verb + " rule" + from + " table " + table, type, flags);
    int shortTable = table > 0 && table < 256 ? table : 0; // a longer number needs FRA_TABLE
    message.u8(family.number()).u8(0).u8(sourcePrefix).u8(0);
    message.u8(shortTable).u8(0).u8(0).u8(FR_ACT_TO_TBL).u32(0);
    source.ifPresent(address -> message.bytes(FRA_SRC, address.getAddress()));
    if (priority != 0) {
      message.u32(FRA_PRIORITY, priority);
    }
    if (shortTable != table) {
      message.u32(FRA_TABLE, table);
    }
    return message;
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
        RouteMessages.address(attributes, FRA_SRC),
        Byte.toUnsignedInt(message.get(2)),
        attributes.u32(FRA_TABLE).orElse(Byte.toUnsignedInt(message.get(4))),
        attributes.u32(FRA_PRIORITY).orElse(0),
        SELECTORS.stream().noneMatch(attributes::has));
  }
}
