// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import static cni.netlink.ffm.nftables.AnonymousSet.Type.INTERFACE_NAME;
import static cni.netlink.ffm.nftables.AnonymousSet.Type.IPV4_ADDRESS;
import static cni.netlink.ffm.nftables.AnonymousSet.Type.IPV6_ADDRESS;
import static cni.netlink.ffm.nftables.AnonymousSet.Type.PORT;
import static cni.netlink.ffm.nftables.AnonymousSet.Type.PROTOCOL;
import static cni.netlink.ffm.nftables.PacketField.*;

import cni.api.CniException;
import cni.netlink.ffm.nftables.AnonymousSet;
import cni.netlink.ffm.nftables.Expression.Compare;
import cni.netlink.ffm.nftables.Expression.Connection;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.Hook;
import cni.netlink.ffm.nftables.NamedSet;
import cni.netlink.ffm.nftables.PacketField;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.SetElement;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
import cni.policy.Direction;
import cni.policy.Endpoint;
import java.util.Optional;

/**
 * The table that policies are enforced in. Bridged packets reach it through br_netfilter, with the
 * bridge as their interface.
 */
final class InetTable {
  static final Table TABLE = new Table(TableFamily.INET, "cni_policy");

  /** Accepts what every container needs: neighbour discovery, multicast membership and DHCP. */
  static final String CONTROL = "control";

  /** Before connection tracking, so that dropped packets leave no trace in it. */
  private static final int BEFORE_CONNTRACK = -300;

  /** Before {@code filter}, in which firewalls of the host accept packets. */
  private static final int BEFORE_FILTER = -5;

  /** After translation of source addresses. */
  private static final int AFTER_NAT = 300;

  private static final int UDP = RuleBuilder.UDP;

  private static final String CUT_COMMENT = "a changed policy forbids the connection";
  private static final String SOURCES = "sources";
  private static final String CONNECTIONS = "connections";

  /** Flows that a change of policies has cut, in the direction of their first packet. */
  static final NamedSet CUT_4 = cut("cut4", IPV4_ADDRESS);

  static final NamedSet CUT_6 = cut("cut6", IPV6_ADDRESS);

  /** The same flows in the other direction. */
  static final NamedSet CUT_REPLIES_4 = cut("cut-replies4", IPV4_ADDRESS);

  static final NamedSet CUT_REPLIES_6 = cut("cut-replies6", IPV6_ADDRESS);
  static final NamedSet PORTS = NamedSet.of("ports", INTERFACE_NAME);
  static final NamedSet KNOWN = NamedSet.of("known", INTERFACE_NAME);
  static final NamedSet SOURCES_4 = NamedSet.of("sources4", INTERFACE_NAME, IPV4_ADDRESS);
  static final NamedSet SOURCES_6 = NamedSet.of("sources6", INTERFACE_NAME, IPV6_ADDRESS);
  private static final NamedSet EGRESS = NamedSet.verdictMap("egress", INTERFACE_NAME);

  private InetTable() {}

  private static NamedSet cut(String name, AnonymousSet.Type address) {
    return NamedSet.of(name, address, address, PROTOCOL, PORT, PORT).withTimeouts();
  }

  private static NamedSet map(String name, boolean isV4) {
    return NamedSet.verdictMap(
        name + (isV4 ? "4" : "6"), INTERFACE_NAME, isV4 ? IPV4_ADDRESS : IPV6_ADDRESS);
  }

  static NamedSet profiles(Direction direction, boolean isV4) {
    return map(direction == Direction.INGRESS ? "ingress" : "egress", isV4);
  }

  private static NamedSet limits(Direction direction, boolean isV4) {
    return map(direction == Direction.INGRESS ? "limit-ingress" : "limit-egress", isV4);
  }

  /** Adds the sets and chains that are always there. */
  static void addFrame(ContentBuilder content) {
    content.add(CUT_4);
    content.add(CUT_6);
    content.add(CUT_REPLIES_4);
    content.add(CUT_REPLIES_6);
    content.add(PORTS);
    content.add(KNOWN);
    content.add(SOURCES_4);
    content.add(SOURCES_6);
    content.add(Guards.GUARDED_4);
    content.add(Guards.GUARDED_6);
    content.add(EGRESS);
    for (Direction direction : Direction.values()) {
      for (boolean isV4 : new boolean[] {true, false}) {
        content.add(profiles(direction, isV4));
        content.add(limits(direction, isV4));
      }
    }
    Guards.addChain(TABLE.family(), content);
    addRegularChains(content);
    addBaseChains(content);
  }

  private static void addRegularChains(ContentBuilder content) {
    content.add(
        SOURCES,
        Chains.regular(
            Chains.returning(rule().in(SOURCES_4, INPUT_INTERFACE, IPV4_SOURCE)),
            Chains.returning(rule().in(SOURCES_6, INPUT_INTERFACE, IPV6_SOURCE)),
            Chains.returning(rule().source(Compare.EQUAL, Addresses.LINK_LOCAL, 10)),
            Chains.returning(
                rule()
                    .source(Compare.EQUAL, Addresses.UNSPECIFIED_6, 128)
                    .protocol(Addresses.ICMPV6)),
            Chains.returning(
                rule().source(Compare.EQUAL, Addresses.UNSPECIFIED_4, 32).ports(UDP, 68, 67)),
            Chains.drop(rule(), "not an address of the container")));
    content.add(
        CONNECTIONS,
        Chains.regular(
            Chains.drop(rule().in(CUT_4, flow(true)), CUT_COMMENT),
            Chains.drop(rule().in(CUT_REPLIES_4, flow(true)), CUT_COMMENT),
            Chains.drop(rule().in(CUT_6, flow(false)), CUT_COMMENT),
            Chains.drop(rule().in(CUT_REPLIES_6, flow(false)), CUT_COMMENT),
            Chains.accepting(rule().connectionState(Connection.ESTABLISHED).isReply()),
            Chains.accepting(rule().connectionState(Connection.RELATED))));
    content.add(CONTROL, Chains.control(TABLE.family()));
  }

  private static PacketField[] flow(boolean isV4) {
    return new PacketField[] {
      isV4 ? IPV4_SOURCE : IPV6_SOURCE,
      isV4 ? IPV4_DESTINATION : IPV6_DESTINATION,
      TRANSPORT_PROTOCOL,
      SOURCE_PORT,
      DESTINATION_PORT
    };
  }

  private static void addBaseChains(ContentBuilder content) {
    content.add(
        "prerouting",
        Chains.base(
            new Hook("filter", Hook.PREROUTING, BEFORE_CONNTRACK),
            Guards.sender(TABLE.family(), KNOWN, true),
            Guards.sender(TABLE.family(), KNOWN, false),
            rule().in(PORTS, INPUT_INTERFACE).append(Verdict.jump(SOURCES)).build(),
            senders(limits(Direction.EGRESS, true), true),
            senders(limits(Direction.EGRESS, false), false)));
    content.add(
        "postrouting",
        Chains.base(
            new Hook("filter", Hook.POSTROUTING, AFTER_NAT),
            receivers(limits(Direction.INGRESS, true), true),
            receivers(limits(Direction.INGRESS, false), false)));
    Rule egress4 = senders(profiles(Direction.EGRESS, true), true);
    Rule egress6 = senders(profiles(Direction.EGRESS, false), false);
    content.add(
        "forward",
        Chains.base(
            new Hook("filter", Hook.FORWARD, BEFORE_FILTER),
            rule().append(Verdict.jump(CONNECTIONS)).build(),
            Guards.receiver(TABLE.family(), KNOWN, true),
            Guards.receiver(TABLE.family(), KNOWN, false),
            egress4,
            egress6,
            receivers(profiles(Direction.INGRESS, true), true),
            receivers(profiles(Direction.INGRESS, false), false)));
    content.add(
        "input",
        Chains.base(
            new Hook("filter", Hook.INPUT, BEFORE_FILTER),
            rule().append(Verdict.jump(CONNECTIONS)).build(),
            egress4,
            egress6,
            rule()
                .source(Compare.EQUAL, Addresses.LINK_LOCAL, 10)
                .verdictOf(EGRESS, INPUT_INTERFACE)
                .build()));
  }

  private static Rule senders(NamedSet map, boolean isV4) {
    return rule().verdictOf(map, INPUT_INTERFACE, isV4 ? IPV4_SOURCE : IPV6_SOURCE).build();
  }

  private static Rule receivers(NamedSet map, boolean isV4) {
    PacketField address = isV4 ? IPV4_DESTINATION : IPV6_DESTINATION;
    return rule().verdictOf(map, OUTPUT_INTERFACE, address).build();
  }

  private static RuleBuilder rule() {
    return RuleBuilder.forFamily(TableFamily.INET);
  }

  /** Adds the elements of an address of a container. */
  static void addIdentity(StateIndex index, Identity identity, ContentBuilder content) {
    Optional<Endpoint> owner = index.owner(identity);
    if (owner.isEmpty()) {
      return;
    }
    boolean isV4 = identity.isV4();
    if (owner.get().bridge().isEmpty()) {
      content.add(isV4 ? SOURCES_4 : SOURCES_6, SetElement.of(identity.key()));
    }
    Selection selection = index.selection(owner.get());
    for (Direction direction : Direction.values()) {
      Optional<String> profile = selection.profile(direction).map(Profile::chain);
      profile.ifPresent(it -> content.add(profiles(direction, isV4), jump(identity, it)));
      Optional<String> limits = selection.limits(direction).map(LimitChain::chain);
      limits.ifPresent(it -> content.add(limits(direction, isV4), jump(identity, it)));
    }
  }

  private static SetElement jump(Identity identity, String chain) {
    return SetElement.of(identity.key(), Verdict.jump(chain));
  }

  /** Adds the elements of the host's end of a veth. */
  static void addPort(StateIndex index, String port, ContentBuilder content) {
    Optional<Endpoint> routed = index.owner(port).filter(it -> it.bridge().isEmpty());
    if (routed.isPresent() || index.state().exempt().contains(port)) {
      content.add(KNOWN, SetElement.of(RuleBuilder.interfaceName(port)));
    }
    if (routed.isPresent()) {
      content.add(PORTS, SetElement.of(RuleBuilder.interfaceName(port)));
      Optional<Profile> egress = index.selection(routed.get()).egress();
      egress.ifPresent(
          it ->
              content.add(
                  EGRESS,
                  SetElement.of(RuleBuilder.interfaceName(port), Verdict.jump(it.chain()))));
    }
  }

  /** Adds a profile with all its elements. */
  static void addProfile(StateIndex index, Profile profile, ContentBuilder content)
      throws CniException {
    declare(profile, content);
    ProfileElements.addBlocks(profile, content);
    index
        .peers(profile)
        .forEach((peer, access) -> ProfileElements.addPeer(profile, peer, access, content));
  }

  /** Adds a profile without elements. */
  static void declare(Profile profile, ContentBuilder content) {
    profile.sets().forEach(content::add);
    content.add(profile.chain(), profile.content());
  }

  /** Adds limits. */
  static void addLimits(LimitChain limits, ContentBuilder content) {
    limits.limits().forEach(content::add);
    content.add(limits.chain(), limits.content());
  }
}
