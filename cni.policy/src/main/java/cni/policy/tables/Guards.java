// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import static cni.netlink.ffm.nftables.AnonymousSet.Type.IPV4_ADDRESS;
import static cni.netlink.ffm.nftables.AnonymousSet.Type.IPV6_ADDRESS;

import cni.netlink.ffm.nftables.Expression.Compare;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.NamedSet;
import cni.netlink.ffm.nftables.PacketField;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.SetElement;
import cni.netlink.ffm.nftables.TableFamily;
import cni.policy.PolicyState;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The rules against containers that are not known yet: the interface plugin has attached them, but
 * their policies are not in force.
 */
final class Guards {
  static final NamedSet GUARDED_4 = NamedSet.of("guarded4", IPV4_ADDRESS).withIntervals();
  static final NamedSet GUARDED_6 = NamedSet.of("guarded6", IPV6_ADDRESS).withIntervals();

  /** Drops the packets of unknown containers. */
  private static final String CHAIN = "guard";

  /**
   * Types of ICMPv6 by which neighbors find each other (RFC 4861, section 4). A container announces
   * itself by them when its interface plugin has attached it.
   */
  private static final int[] DISCOVERY_TYPES = {133, 135, 136};

  private Guards() {}

  /** Adds the chain that the rules jump to. */
  static void addChain(TableFamily family, ContentBuilder content) {
    content.add(
        CHAIN,
        Chains.regular(
            RuleBuilder.forFamily(family)
                .icmpv6Type(DISCOVERY_TYPES)
                .append(Verdict.RETURN)
                .build(),
            Chains.drop(
                RuleBuilder.forFamily(family), "container whose policies are not in force")));
  }

  /** Returns the rule that drops what an unknown container sends. */
  static Rule sender(TableFamily family, NamedSet known, boolean isV4) {
    RuleBuilder rule =
        RuleBuilder.forFamily(family)
            .inputKind(Compare.EQUAL, "veth")
            .notIn(known, PacketField.INPUT_INTERFACE)
            .in(
                isV4 ? GUARDED_4 : GUARDED_6,
                isV4 ? PacketField.IPV4_SOURCE : PacketField.IPV6_SOURCE);
    return rule.append(Verdict.jump(CHAIN)).build();
  }

  /** Returns the rule that drops what an unknown container would receive. */
  static Rule receiver(TableFamily family, NamedSet known, boolean isV4) {
    RuleBuilder rule =
        RuleBuilder.forFamily(family)
            .outputKind(Compare.EQUAL, "veth")
            .notIn(known, PacketField.OUTPUT_INTERFACE)
            .in(
                isV4 ? GUARDED_4 : GUARDED_6,
                isV4 ? PacketField.IPV4_DESTINATION : PacketField.IPV6_DESTINATION);
    return rule.append(Verdict.jump(CHAIN)).build();
  }

  /** Adds the guarded addresses, of bridged or else of routed networks. */
  static void addElements(PolicyState state, boolean isBridged, ContentBuilder content) {
    List<AddressRange> v4 = new ArrayList<>();
    List<AddressRange> v6 = new ArrayList<>();
    for (PolicyState.Guard guard : state.guards()) {
      if (guard.bridge().isPresent() == isBridged) {
        (guard.prefix().isV4() ? v4 : v6).add(AddressRange.of(guard.prefix()));
      }
    }
    addUnion(v4, GUARDED_4, content);
    addUnion(v6, GUARDED_6, content);
  }

  private static void addUnion(List<AddressRange> ranges, NamedSet set, ContentBuilder content) {
    for (AddressRange range : AddressRange.union(ranges)) {
      content.add(set, new SetElement(range.firstBytes(), range.lastBytes(), Optional.empty()));
    }
  }
}
