// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.nftables.AnonymousSet;
import cni.netlink.ffm.nftables.Bytes;
import cni.netlink.ffm.nftables.Expression;
import cni.netlink.ffm.nftables.SetElement;
import cni.netlink.ffm.nftables.TableContent;
import cni.netlink.ffm.nftables.TableContent.SetContent;
import cni.policy.Direction;
import cni.policy.Endpoint;
import cni.policy.Flow;
import cni.policy.Party;
import cni.policy.PolicyEvaluator;
import cni.policy.PolicyState;
import cni.policy.Protocol;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The sets in the kernel and the evaluator agree on every connection. */
class CompiledSetsTest {
  private static final String OUTSIDE = "up0";

  private TableContent table = TableContent.empty(InetTable.TABLE);

  /** A side of a connection, with the interface by which the host reaches it. */
  private record Side(Party party, String device) {}

  @Test
  void agreeWithTheEvaluator() throws Exception {
    int[] verdicts = new int[2];
    for (int seed = 0; seed < 40; seed++) {
      var random = new RandomState(seed);
      PolicyState state = random.state(6, 8);
      table = PolicyTables.compile(state).inet();
      assertRangesAreDisjoint();
      var evaluator = PolicyEvaluator.of(state, Set.of());
      List<Side> sides = sides(state);
      for (int i = 0; i < 500; i++) {
        Side source = random.any(sides);
        Side destination = random.any(sides);
        if (isV4(source) != isV4(destination)) {
          continue;
        }
        Protocol protocol = random.any(List.of(Protocol.values()));
        int port = random.any(List.of(1, 2, 53, 80, 81, 85, 90, 443, 60000, 65535));
        Flow flow = new Flow(source.party, destination.party, protocol, port);
        boolean passes = passes(source, destination, protocol, port);
        assertEquals(evaluator.isAllowed(flow), passes, "seed " + seed + ": " + flow);
        verdicts[passes ? 1 : 0]++;
      }
    }
    assertTrue(verdicts[0] > 1000 && verdicts[1] > 1000, Arrays.toString(verdicts));
  }

  private static boolean isV4(Side side) {
    return side.party.address().getAddress().length == 4;
  }

  private static List<Side> sides(PolicyState state) {
    List<Side> sides = new ArrayList<>();
    for (Endpoint endpoint : state.endpoints().values()) {
      for (Identity identity : Identity.of(endpoint)) {
        sides.add(new Side(new Party.Container(endpoint, identity.address()), identity.device()));
      }
    }
    for (String address :
        List.of("192.0.2.7", "192.0.2.8", "10.8.1.1", "10.9.0.200", "2001:db8::7", "2001:db8::9")) {
      sides.add(new Side(new Party.Outside(InetAddress.ofLiteral(address)), OUTSIDE));
    }
    return sides;
  }

  /** Does what the chain forward does with the first packet of a connection. */
  private boolean passes(Side source, Side destination, Protocol protocol, int port) {
    return passes(source, Direction.EGRESS, destination, protocol, port)
        && passes(destination, Direction.INGRESS, source, protocol, port);
  }

  private boolean passes(Side self, Direction direction, Side peer, Protocol protocol, int port) {
    boolean isV4 = isV4(self);
    Bytes key = Identity.key(self.device, self.party.address());
    String map = InetTable.profiles(direction, isV4).name();
    Optional<String> chain =
        elements(map).stream()
            .filter(it -> it.first().equals(key))
            .findFirst()
            .flatMap(SetElement::verdict)
            .map(Expression.Verdict::chain);
    if (chain.isEmpty()) {
      return true;
    }
    Bytes peerKey = Identity.key(peer.device, peer.party.address());
    Bytes address = Bytes.of(peer.party.address().getAddress());
    for (ProfileSet kind : ProfileSet.values()) {
      Bytes start = kind.hasDevice() ? peerKey : address;
      Bytes whole = kind.hasPorts() ? Keys.join(start, protocol, isV4, port) : start;
      if (contains(kind.of(chain.get(), isV4).name(), whole)) {
        return true;
      }
    }
    return false;
  }

  private Set<SetElement> elements(String set) {
    SetContent content = table.sets().get(set);
    return content == null ? Set.of() : content.elements();
  }

  private boolean contains(String set, Bytes key) {
    return elements(set).stream()
        .anyMatch(it -> overlap(it, new SetElement(key, key, Optional.empty()), set));
  }

  /** Returns whether there is a key, field by field, in two elements of a set. */
  private boolean overlap(SetElement one, SetElement other, String set) {
    int offset = 0;
    for (AnonymousSet.Type type : Objects.requireNonNull(table.sets().get(set)).set().key()) {
      int end = offset + type.length();
      if (compare(one.first(), other.last(), offset, end) > 0
          || compare(other.first(), one.last(), offset, end) > 0) {
        return false;
      }
      offset = end;
    }
    return true;
  }

  private static int compare(Bytes one, Bytes other, int from, int to) {
    return Arrays.compareUnsigned(one.toArray(), from, to, other.toArray(), from, to);
  }

  private void assertRangesAreDisjoint() {
    for (SetContent content : table.sets().values()) {
      List<SetElement> elements = List.copyOf(content.elements());
      for (int i = 0; i < elements.size(); i++) {
        for (int j = 0; j < i; j++) {
          String set = content.set().name();
          SetElement one = elements.get(i);
          SetElement other = elements.get(j);
          assertTrue(!overlap(one, other, set), () -> set + ": " + one + " " + other);
        }
      }
    }
  }
}
