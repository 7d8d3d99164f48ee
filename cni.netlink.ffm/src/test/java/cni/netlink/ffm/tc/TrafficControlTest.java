// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.tc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.route.LinkSpec;
import cni.netlink.ffm.route.RouteSocket;
import cni.testing.KernelTest;
import cni.testing.RequiresDevice;
import cni.testing.RequiresDevice.Device;
import cni.testing.TestBed;
import java.io.IOException;
import java.net.InetAddress;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Queueing disciplines, classes and filters as tc shows them. */
@KernelTest(commands = {"tc"})
class TrafficControlTest {
  private TestBed bed;
  private RouteSocket routing;
  private int link;
  private int other;

  @BeforeEach
  void open() throws IOException {
    bed = new TestBed();
    routing = RouteSocket.open(bed.netns());
    routing.execute(LinkSpec.of("ifb", "ifb7").up().request());
    routing.execute(LinkSpec.of("ifb", "ifb8").up().request());
    link = routing.link("ifb7").orElseThrow().index();
    other = routing.link("ifb8").orElseThrow().index();
  }

  @AfterEach
  void close() throws IOException {
    routing.close();
    bed.close();
  }

  private String tc(String arguments) throws IOException {
    return TestBed.run(bed.netns(), ("tc " + arguments).split(" ", -1));
  }

  @Test
  void tokenBucketIsReadBackUnchanged() throws IOException {
    for (long rate : List.of(8L, 10_000_000L, 500_000_000L, 80_000_000_000L)) {
      TokenBucket bucket = TokenBucket.of(rate, 1_000_000);
      routing.execute(Qdisc.addTbf(link, TcConstants.handle(1, 0), TcConstants.ROOT, bucket));
      Qdisc listed = Qdisc.list(routing, link).getFirst();
      assertEquals("tbf", listed.kind());
      assertEquals(rate / 8, listed.bucket().orElseThrow().rate());
      assertEquals(bucket, listed.bucket().orElseThrow());
      routing.execute(Qdisc.delete(link, TcConstants.handle(1, 0), TcConstants.ROOT));
    }
  }

  @Test
  void tcShowsClassesAndFiltersAsRequested() throws IOException {
    int qdisc = TcConstants.handle(1, 0);
    routing.execute(Qdisc.addHtb(link, qdisc, TcConstants.ROOT, 0x30));
    routing.execute(
        HtbClass.of(TcConstants.handle(1, 0x30), 1_250_000, 12_500).addRequest(link, qdisc));
    InetAddress v4 = InetAddress.ofLiteral("10.1.0.0");
    InetAddress v6 = InetAddress.ofLiteral("fd00:1:2::");
    int flow = TcConstants.handle(1, 0x30);
    routing.execute(TcFilter.classifier(16, v4, 20, false, flow).addRequest(link, qdisc));
    routing.execute(TcFilter.classifier(15, v6, 48, true, flow).addRequest(link, qdisc));
    routing.execute(TcFilter.classifier(14, v4, 0, true, flow).addRequest(link, qdisc));
    String shown = tc("class show dev ifb7");
    assertTrue(shown.contains("class htb 1:30 root prio 0 rate 10Mbit ceil 10Mbit"), shown);
    shown = tc("filter show dev ifb7");
    assertTrue(shown.contains("match 0a010000/fffff000 at 16"), shown);
    assertTrue(shown.contains("match fd000001/ffffffff at 8"), shown);
    assertTrue(shown.contains("match 00020000/ffff0000 at 12"), shown);
    assertTrue(shown.contains("match 00000000/00000000 at 0"), shown);
    assertEquals(3, TcFilter.list(routing, link, qdisc).size());
  }

  @Test
  void qdiscClassAndFilterAreChangedInPlaceAndDeleted() throws IOException {
    int qdisc = TcConstants.handle(1, 0);
    routing.execute(Qdisc.addHtb(link, qdisc, TcConstants.ROOT, 0x30));
    assertEquals(0x30, Qdisc.list(routing, link).getFirst().defaultClass());
    HtbClass slow = HtbClass.of(TcConstants.handle(1, 0x30), 1_250_000, 12_500);
    HtbClass fast = HtbClass.of(TcConstants.handle(1, 0x30), 100_000_000_000L, 0);
    routing.execute(slow.addRequest(link, qdisc));
    assertEquals(List.of(slow), HtbClass.list(routing, link));
    routing.execute(fast.changeRequest(link, qdisc));
    assertEquals(List.of(fast), HtbClass.list(routing, link));
    InetAddress v6 = InetAddress.ofLiteral("fd00:1:2::");
    TcFilter filter = TcFilter.classifier(15, v6, 49, true, slow.handle());
    TcFilter wider = TcFilter.classifier(15, v6, 47, true, slow.handle());
    routing.execute(filter.addRequest(link, qdisc));
    routing.execute(wider.addRequest(link, qdisc));
    List<TcFilter> listed = TcFilter.list(routing, link, qdisc);
    assertTrue(filter.isEquivalentTo(listed.getFirst()), listed::toString);
    assertTrue(wider.isEquivalentTo(listed.getLast()), listed::toString);
    routing.execute(listed.getFirst().deleteRequest(link, qdisc));
    assertEquals(listed.subList(1, 2), TcFilter.list(routing, link, qdisc));
    routing.execute(listed.getLast().deleteRequest(link, qdisc));
    routing.execute(fast.deleteRequest(link, qdisc));
    assertEquals(List.of(), HtbClass.list(routing, link));

    int tbf = TcConstants.handle(2, 0);
    TokenBucket bucket = TokenBucket.of(80_000_000_000L, 1_000_000);
    routing.execute(Qdisc.addTbf(other, tbf, TcConstants.ROOT, TokenBucket.of(8_000, 80_000)));
    routing.execute(Qdisc.changeTbf(other, tbf, TcConstants.ROOT, bucket));
    assertEquals(bucket, Qdisc.list(routing, other).getFirst().bucket().orElseThrow());
  }

  @Test
  void redirectOfU32FilterIsRead() throws IOException {
    routing.execute(Qdisc.add(link, "ingress", TcConstants.INGRESS_HANDLE, TcConstants.INGRESS));
    routing.execute(TcFilter.redirectIngress(link, 1, other));
    List<TcFilter> filters = TcFilter.list(routing, link, TcConstants.INGRESS_HANDLE);
    assertEquals(other, filters.getLast().redirect());
    assertEquals("u32", filters.getLast().kind());
    assertEquals(1, filters.getLast().priority());
    assertEquals(TcConstants.ALL_PROTOCOLS, filters.getLast().protocol());
    routing.execute(Qdisc.add(other, "noqueue", 0, TcConstants.ROOT));
    assertTrue(tc("qdisc show dev ifb8").contains("noqueue"));
  }

  @Test
  @RequiresDevice({Device.MATCHALL, Device.FLOWER})
  void redirectOfMatchallAndFlowerFiltersIsRead() throws IOException {
    int ingress = 0xffff_fff2; // of clsact
    routing.execute(Qdisc.add(link, "clsact", TcConstants.INGRESS_HANDLE, TcConstants.INGRESS));
    routing.execute(TcFilter.redirectAll(link, ingress, 7, other));
    routing.execute(
        TcFilter.redirectDestination(link, ingress, 8, InetAddress.ofLiteral("fd00::1"), other));
    List<TcFilter> filters = TcFilter.list(routing, link, ingress);
    assertTrue(
        filters.stream().anyMatch(it -> it.kind().equals("matchall") && it.redirect() == other));
    assertTrue(
        filters.stream().anyMatch(it -> it.kind().equals("flower") && it.redirect() == other));
    assertTrue(tc("filter show dev ifb7 ingress").contains("dst_ip fd00::1"));
  }
}
