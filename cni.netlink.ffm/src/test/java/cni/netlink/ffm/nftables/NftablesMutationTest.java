package cni.netlink.ffm.nftables;

import static org.junit.jupiter.api.Assertions.assertNotNull;

import cni.netlink.ffm.Mutations;
import cni.netlink.ffm.NetlinkRequest;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
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

  @Test
  void connectionsAreReadOrMalformed() throws IOException {
    NetlinkRequest connection =
        NetfilterMessages.nfgenmsg(new NetlinkRequest("", 0, 0), TableFamily.IP.number(), 0)
            .nest(1, tuple -> tuple.nest(2, proto -> proto.u8(1, TCP).be16(3, 8080)))
            .be16(18, 7);
    Mutations.test(
        Mutations.payloads(List.of(connection)),
        message -> ConntrackSocket.deletion(message, TableFamily.IP, TCP, Set.of(8080, 53)));
  }
}
