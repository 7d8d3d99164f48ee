// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import static cni.netlink.ffm.nftables.AnonymousSet.Type.INTERFACE_NAME;
import static cni.netlink.ffm.nftables.PacketField.*;

import cni.netlink.ffm.nftables.Expression.Compare;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.Hook;
import cni.netlink.ffm.nftables.NamedSet;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.SetElement;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableContent.ChainContent;
import cni.netlink.ffm.nftables.TableFamily;
import cni.policy.Endpoint;
import java.util.Optional;

/**
 * The table for frames of bridges. It makes sure that the {@link InetTable} sees everything that a
 * container sends, with an address by which it knows the container, and drops what that table
 * cannot judge.
 */
final class BridgeTable {
  static final Table TABLE = new Table(TableFamily.BRIDGE, "cni_policy");

  /** Before br_netfilter, which is at 0 (NF_BR_PRI_BRNF of linux/netfilter_bridge.h). */
  private static final int BEFORE_BR_NETFILTER = -350;

  private static final int UDP = RuleBuilder.UDP;
  private static final int ROUTER_ADVERTISEMENT = 134;
  private static final int NEIGHBOR_ADVERTISEMENT = 136;
  private static final int REDIRECT = 137;

  private static final String SOURCES = "sources";
  private static final String NEIGHBORS = "neighbors";
  private static final String CONTROL = "control";
  private static final String EGRESS_CHAIN = "other-egress";
  private static final String INGRESS_CHAIN = "other-ingress";

  // Not maps of verdicts: for a new element with a jump the kernel walks all elements of the
  // table's
  // maps, once for each rule that looks them up (nft_lookup_validate in
  // net/netfilter/nft_lookup.c).
  static final NamedSet EGRESS_LOCAL = NamedSet.of("egress-local", INTERFACE_NAME);
  static final NamedSet INGRESS_LOCAL = NamedSet.of("ingress-local", INTERFACE_NAME);

  // the same sets as in the other table
  static final NamedSet PORTS = InetTable.PORTS;
  static final NamedSet KNOWN = InetTable.KNOWN;
  static final NamedSet SOURCES_4 = InetTable.SOURCES_4;
  static final NamedSet SOURCES_6 = InetTable.SOURCES_6;

  private BridgeTable() {}

  /** Adds the sets and chains that are always there. */
  static void addFrame(ContentBuilder content) {
    content.add(PORTS);
    content.add(KNOWN);
    content.add(SOURCES_4);
    content.add(SOURCES_6);
    content.add(Guards.GUARDED_4);
    content.add(Guards.GUARDED_6);
    content.add(EGRESS_LOCAL);
    content.add(INGRESS_LOCAL);
    Guards.addChain(TABLE.family(), content);
    content.add(SOURCES, sources());
    content.add(NEIGHBORS, neighbors());
    addLocalChains(content);
    addBaseChains(content);
  }

  private static ChainContent sources() {
    return Chains.regular(
        Chains.drop(otherTypes(rule()), "VLAN tags and other protocols evade policies"),
        Chains.drop(rule().icmpv6Type(ROUTER_ADVERTISEMENT, REDIRECT), "a container is no router"),
        rule().icmpv6Type(NEIGHBOR_ADVERTISEMENT).append(Verdict.jump(NEIGHBORS)).build(),
        Chains.returning(rule().in(SOURCES_4, INPUT_INTERFACE, IPV4_SOURCE)),
        Chains.returning(rule().in(SOURCES_6, INPUT_INTERFACE, IPV6_SOURCE)),
        Chains.returning(rule().in(SOURCES_4, INPUT_INTERFACE, ARP_SENDER)),
        Chains.returning(rule().arpSender(Compare.EQUAL, Addresses.UNSPECIFIED_4)),
        Chains.returning(rule().source(Compare.EQUAL, Addresses.LINK_LOCAL, 10)),
        Chains.returning(
            rule().source(Compare.EQUAL, Addresses.UNSPECIFIED_6, 128).protocol(Addresses.ICMPV6)),
        Chains.returning(
            rule().source(Compare.EQUAL, Addresses.UNSPECIFIED_4, 32).ports(UDP, 68, 67)),
        Chains.drop(rule(), "not an address of the container"));
  }

  private static ChainContent neighbors() {
    return Chains.regular(
        Chains.returning(rule().in(SOURCES_6, INPUT_INTERFACE, NEIGHBOR_TARGET)),
        Chains.returning(rule().neighborTarget(Addresses.LINK_LOCAL, 10)),
        Chains.drop(rule(), "neighbor advertisement for an address of another"));
  }

  private static RuleBuilder otherTypes(RuleBuilder rule) {
    return rule.etherType(
        Compare.NOT_EQUAL, RuleBuilder.ETHER_IPV4, RuleBuilder.ETHER_ARP, RuleBuilder.ETHER_IPV6);
  }

  /** Link-local and multicast traffic: the other table has no element for it. */
  private static void addLocalChains(ContentBuilder content) {
    content.add(
        CONTROL,
        Chains.control(
            TABLE.family(),
            Chains.accepting(rule().etherType(Compare.EQUAL, RuleBuilder.ETHER_ARP))));
    content.add(
        EGRESS_CHAIN,
        Chains.regular(
            Chains.returning(rule().in(SOURCES_4, INPUT_INTERFACE, IPV4_SOURCE)),
            Chains.returning(rule().in(SOURCES_6, INPUT_INTERFACE, IPV6_SOURCE)),
            rule().append(Verdict.jump(CONTROL)).build(),
            Chains.drop(rule(), "egress from an address that no policy can allow")));
    content.add(
        INGRESS_CHAIN,
        Chains.regular(
            Chains.returning(rule().in(SOURCES_4, OUTPUT_INTERFACE, IPV4_DESTINATION)),
            Chains.returning(rule().in(SOURCES_6, OUTPUT_INTERFACE, IPV6_DESTINATION)),
            rule().append(Verdict.jump(CONTROL)).build(),
            Chains.drop(rule(), "ingress to an address that no policy can allow")));
  }

  private static void addBaseChains(ContentBuilder content) {
    content.add(
        "prerouting",
        Chains.base(
            new Hook("filter", Hook.PREROUTING, BEFORE_BR_NETFILTER),
            Guards.sender(TABLE.family(), KNOWN, true),
            Guards.sender(TABLE.family(), KNOWN, false),
            rule().in(PORTS, INPUT_INTERFACE).append(Verdict.jump(SOURCES)).build()));
    Rule egress =
        rule().in(EGRESS_LOCAL, INPUT_INTERFACE).append(Verdict.jump(EGRESS_CHAIN)).build();
    Rule ingress =
        rule().in(INGRESS_LOCAL, OUTPUT_INTERFACE).append(Verdict.jump(INGRESS_CHAIN)).build();
    content.add("input", Chains.base(new Hook("filter", Hook.INPUT, -5), egress));
    content.add("forward", Chains.base(new Hook("filter", Hook.FORWARD, -5), egress, ingress));
    RuleBuilder toPorts = rule().in(PORTS, OUTPUT_INTERFACE);
    content.add(
        "postrouting",
        Chains.base(
            new Hook("filter", Hook.POSTROUTING, -5),
            Guards.receiver(TABLE.family(), KNOWN, true),
            Guards.receiver(TABLE.family(), KNOWN, false),
            Chains.drop(otherTypes(toPorts), "VLAN tags and other protocols evade policies")));
  }

  private static RuleBuilder rule() {
    return RuleBuilder.forFamily(TableFamily.BRIDGE);
  }

  /** Adds the elements of an address of a container. */
  static void addIdentity(StateIndex index, Identity identity, ContentBuilder content) {
    Optional<Endpoint> owner = index.owner(identity).filter(it -> it.bridge().isPresent());
    owner.ifPresent(
        it ->
            content.add(
                identity.isV4() ? SOURCES_4 : SOURCES_6,
                SetElement.of(Identity.key(it.hostInterface(), identity.address()))));
  }

  /** Adds the elements of a port of a bridge. */
  static void addPort(StateIndex index, String port, ContentBuilder content) {
    SetElement element = SetElement.of(RuleBuilder.interfaceName(port));
    Optional<Endpoint> bridged = index.owner(port).filter(it -> it.bridge().isPresent());
    if (bridged.isPresent() || index.state().exempt().contains(port)) {
      content.add(KNOWN, element);
    }
    if (bridged.isPresent()) {
      content.add(PORTS, element);
      Selection selection = index.selection(bridged.get());
      if (selection.egress().filter(it -> !it.isOpen()).isPresent()) {
        content.add(EGRESS_LOCAL, element);
      }
      if (selection.ingress().filter(it -> !it.isOpen()).isPresent()) {
        content.add(INGRESS_LOCAL, element);
      }
    }
  }
}
