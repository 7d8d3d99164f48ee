// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.InetAddresses;
import cni.policy.Direction;
import cni.policy.Peer;
import cni.policy.Policy;
import cni.policy.PolicyState;
import cni.policy.PortMatch;
import cni.policy.Protocol;
import cni.policy.Selector;
import cni.policy.TrafficRule;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Boxes of addresses and ports that do not overlap. */
class DisjointRangesTest {
  private static AddressRange cidr(String text) {
    return AddressRange.of(Cidr.parse(text));
  }

  private static PortMatch.Range tcp(int first, int last) {
    return new PortMatch.Range(Protocol.TCP, first, last);
  }

  private static List<String> disjoint(Object... addressesAndPorts)
      throws DisjointRanges.TooManyException {
    var ranges = new DisjointRanges();
    for (int i = 0; i < addressesAndPorts.length; i += 2) {
      ranges.add(cidr((String) addressesAndPorts[i]), (PortMatch.Range) addressesAndPorts[i + 1]);
    }
    return ranges.disjoint().stream().map(DisjointRangesTest::text).toList();
  }

  private static String text(DisjointRanges.Box box) {
    AddressRange range = box.addresses();
    return InetAddresses.format(InetAddresses.fromNumber(range.first(), range.bits()))
        + "-"
        + InetAddresses.format(InetAddresses.fromNumber(range.last(), range.bits()))
        + " "
        + box.ports().protocol()
        + " "
        + box.ports().first()
        + "-"
        + box.ports().last();
  }

  @Test
  void portsAreSplitWhereTheAddressesChange() throws Exception {
    assertEquals(
        List.of(
            "10.0.0.0-10.0.0.255 TCP 80-89",
            "10.0.0.0-10.0.1.255 TCP 90-90",
            "10.0.1.0-10.0.1.255 TCP 91-100"),
        disjoint("10.0.0.0/24", tcp(80, 90), "10.0.1.0/24", tcp(90, 100)));
  }

  @Test
  void equalNeighborsAreOneRange() throws Exception {
    assertEquals(
        List.of("10.0.0.0-10.0.1.255 TCP 80-100"),
        disjoint(
            "10.0.0.0/24", tcp(80, 90), "10.0.1.0/24", tcp(80, 95), "10.0.0.0/23", tcp(91, 100)));
  }

  @Test
  void extremeAddressesAndPorts() throws Exception {
    assertEquals(
        List.of("0.0.0.0-255.255.255.255 TCP 0-65534", "0.0.0.0-127.255.255.255 TCP 65535-65535"),
        disjoint("0.0.0.0/0", tcp(0, 65534), "0.0.0.0/1", tcp(65535, 65535)));
  }

  @Test
  void exceptionsOfABlockAreCutOut() {
    var block =
        new Peer.Block(
            Cidr.parse("10.0.0.0/24"),
            List.of(Cidr.parse("10.0.0.0/25"), Cidr.parse("10.0.0.192/26")));
    assertEquals(
        List.of(new AddressRange(32, cidr("10.0.0.128/26").first(), cidr("10.0.0.128/26").last())),
        AddressRange.of(block));
    assertEquals(
        List.of(),
        AddressRange.of(
            new Peer.Block(
                Cidr.parse("::/0"), List.of(Cidr.parse("::/1"), Cidr.parse("8000::/1")))));
  }

  /** The boxes are the same in any order, do not overlap, and contain what was added. */
  @Test
  void randomBoxesAreCanonical() throws Exception {
    var random = new Random(1);
    for (int round = 0; round < 300; round++) {
      List<DisjointRanges.Box> boxes = new ArrayList<>();
      for (int i = 1 + random.nextInt(6); i > 0; i--) {
        int first = random.nextInt(20);
        String cidr = "10.0.0." + random.nextInt(32) + "/" + (28 + random.nextInt(5));
        boxes.add(
            new DisjointRanges.Box(
                AddressRange.of(Cidr.parse(cidr).network()),
                tcp(first, first + random.nextInt(8))));
      }
      Set<String> expected = points(boxes);
      List<DisjointRanges.Box> disjoint = disjoint(boxes);
      assertEquals(expected, points(disjoint));
      int count = disjoint.stream().mapToInt(it -> points(List.of(it)).size()).sum();
      assertEquals(expected.size(), count, "overlaps");
      Collections.shuffle(boxes, random);
      assertEquals(disjoint, disjoint(boxes));
      assertEquals(disjoint, disjoint(disjoint));
    }
  }

  private static List<DisjointRanges.Box> disjoint(List<DisjointRanges.Box> boxes)
      throws DisjointRanges.TooManyException {
    var ranges = new DisjointRanges();
    boxes.forEach(it -> ranges.add(it.addresses(), it.ports()));
    return ranges.disjoint();
  }

  private static Set<String> points(List<DisjointRanges.Box> boxes) {
    Set<String> points = new HashSet<>();
    for (DisjointRanges.Box box : boxes) {
      for (int port = box.ports().first(); port <= box.ports().last(); port++) {
        for (int i = box.addresses().first().intValue();
            i <= box.addresses().last().intValue();
            i++) {
          points.add(i + " " + port);
        }
      }
    }
    return points;
  }

  @Test
  void tooManyElementsAreRefusedWithThePolicies() {
    List<Peer> peers =
        IntStream.range(0, 300)
            .<Peer>mapToObj(
                i ->
                    new Peer.Block(
                        Cidr.parse("10." + i / 128 + "." + 2 * (i % 128) + ".0/24"), List.of()))
            .toList();
    List<PortMatch> ports =
        IntStream.range(0, 300).<PortMatch>mapToObj(i -> tcp(1 + 2 * i, 1 + 2 * i)).toList();
    Policy policy =
        new Policy(
            "wide",
            Selector.ANY,
            Set.of(),
            Map.of(Direction.INGRESS, List.of(new TrafficRule(peers, ports))),
            Map.of());
    PolicyState state =
        RandomState.with(
            RandomState.with(PolicyState.EMPTY, policy), new RandomState(0).endpoint(1));
    CniException e = assertThrows(CniException.class, () -> PolicyTables.compile(state));
    assertEquals(7, e.code());
    assertTrue(e.getMessage().contains("policies wide select"), e.getMessage());
  }
}
