// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.NftablesConstants.*;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.Mutations;
import cni.netlink.ffm.NetlinkRequest;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

/** Mutated messages about chains, rules with their expressions, and tracked connections. */
class NftablesMutationTest {
  private static final InetAddress V4 = InetAddress.ofLiteral("10.1.2.3");
  private static final InetAddress V6 = InetAddress.ofLiteral("fd00::3");
  private static final int TCP = 6;
  private static final int EQUAL = Expression.Compare.EQUAL;

  private static final Rule NAT =
      RuleBuilder.forFamily(TableFamily.IP)
          .source(EQUAL, V4, 16)
          .destination(EQUAL, V4, 32)
          .destinationPort(TCP, 8080)
          .inputInterface(EQUAL, "eth0")
          .connectionState(2)
          .mark(EQUAL, 0x2000, 0x2000)
          .toLocalAddress()
          .destinationNat(V4, 80)
          .build()
          .withComment("a comment")
          .withOwner("an owner");

  /** The content of the requests that add the rules, which is that of listed rules. */
  private static List<byte[]> rules() {
    Chain chain = new Table(TableFamily.IP, "t").chain("c");
    var iptables = IptablesRuleBuilder.forFamily(TableFamily.IP).protocol(TCP);
    List<byte[]> messages = new ArrayList<>();
    for (Rule rule :
        List.of(
            NAT,
            RuleBuilder.forFamily(TableFamily.IP6).source(EQUAL, V6, 64).masquerade().build(),
            new Rule(List.of(new Expression.Counter(), Expression.Verdict.ACCEPT), Userdata.NONE),
            NamedSetTest.inet()
                .verdictOf(
                    NamedSetTest.EGRESS, PacketField.INPUT_INTERFACE, PacketField.IPV4_SOURCE)
                .build(),
            NamedSetTest.inet()
                .notIn(NamedSetTest.KNOWN, PacketField.INPUT_INTERFACE)
                .above("l")
                .build(),
            iptables.destinationPorts(List.of(80, 81)).comment("text").destinationNat(V4, 80),
            IptablesRuleBuilder.forFamily(TableFamily.IP)
                .protocol(TCP)
                .destinationPort(TCP, 80)
                .destinationNat(V4, 80))) {
      for (NetlinkRequest request :
          new Transaction().append(chain, rule).batch(OptionalInt.empty())) {
        byte[] message = Mutations.payload(request);
        if (message.length > 4) { // not the frame of the batch
          messages.add(message);
        }
      }
    }
    return messages;
  }

  @Test
  void rulesAreReadOrMalformed() throws IOException {
    Mutations.test(
        rules(),
        message -> {
          InstalledRule installed = InstalledRule.read(message);
          Rule rule = installed.rule();
          rule.expressions().forEach(it -> assertNotNull(it.toString()));
          rule.isEquivalentTo(NAT);
          NAT.isEquivalentTo(rule);
          rule.jumpsTo("c");
          assertNotNull(TableReader.count(NetfilterMessages.attributes(message)));
          DnatMatch.mightMatch(rule, 8080);
          DnatMatch.of(rule);
          IptablesRuleBuilder.commentOf(rule);
          assertNotNull(installed.toString());
        });
  }

  @Test
  void chainsAreReadOrMalformed() throws IOException {
    Chain chain = new Table(TableFamily.INET, "t").chain("c");
    List<byte[]> messages = new ArrayList<>();
    for (NetlinkRequest request :
        new Transaction()
            .add(chain, new Hook("nat", 4, 100))
            .add(chain)
            .batch(OptionalInt.empty())) {
      byte[] message = Mutations.payload(request);
      if (message.length > 8) {
        messages.add(message);
      }
    }
    Mutations.test(messages, InstalledChain::read);
  }

  /** The content of the requests that add sets and limits is that of listed ones. */
  private static List<byte[]> messages(int type) {
    return Mutations.payloads(
        NamedSetTest.sets().batch(OptionalInt.empty()).stream()
            .filter(request -> request.type() == (NFNL_SUBSYS_NFTABLES << 8 | type))
            .toList());
  }

  @Test
  void setsAndLimitsAreReadOrMalformed() throws IOException {
    Mutations.test(
        messages(NFT_MSG_NEWSET),
        message -> {
          var set = new NamedSetReader(NetfilterMessages.attributes(message));
          assertNotNull(set.content().set().toString());
          assertNotNull(set.anonymous());
        });
    Mutations.test(
        messages(NFT_MSG_NEWOBJ),
        message -> assertNotNull(TableReader.limit(NetfilterMessages.attributes(message))));
  }

  @Test
  void elementsAreReadOrMalformed() throws IOException {
    List<NamedSet> sets =
        List.of(NamedSetTest.EGRESS, NamedSetTest.RANGES, NamedSetTest.GUARDED, NamedSetTest.KNOWN);
    Mutations.test(
        messages(NFT_MSG_NEWSETELEM),
        message -> {
          for (NamedSet set : sets) {
            readElements(new NamedSetReader(set), NetfilterMessages.attributes(message));
          }
        });
  }

  /** Elements of a set of other keys are malformed. */
  private static void readElements(NamedSetReader reader, Attributes message) {
    try {
      reader.accept(message);
    } catch (MalformedMessageException e) {
      assertNotNull(e.getMessage());
    }
    assertNotNull(reader.counts().toString());
    assertNotNull(reader.content().toString());
    assertNotNull(reader.anonymous());
  }

  @Test
  void connectionsAreReadOrMalformed() throws IOException {
    NetlinkRequest connection =
        NetfilterMessages.nfgenmsg(new NetlinkRequest("", 0, 0), TableFamily.IP.number(), 0)
            .nest(1, tuple -> tuple.nest(2, proto -> proto.u8(1, TCP).be16(3, 8080)))
            .be16(18, 7);
    Mutations.test(Mutations.payloads(List.of(connection)), TrackedConnection::read);
  }
}
