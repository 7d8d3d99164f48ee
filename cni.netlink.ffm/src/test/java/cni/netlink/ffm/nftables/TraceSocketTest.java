// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkException;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Traces of packets, and tables that belong to a socket. */
class TraceSocketTest {
  private static final Table TABLE = new Table(TableFamily.INET, "t");
  private static final Chain OUTPUT = TABLE.chain("output");
  private static final Chain INPUT = TABLE.chain("input");

  private static Rule mark() {
    return RuleBuilder.forFamily(TableFamily.INET)
        .destinationPort(RuleBuilder.TCP, 99)
        .append(new Expression.Immediate(1, Bytes.of((byte) 1)))
        .append(new Expression.TraceFlag(1))
        .build();
  }

  @Test
  @KernelTest
  void packetIsTracedUpToTheRuleThatDropsIt(TestBed bed) throws Exception {
    try (NftablesSocket nftables = NftablesSocket.open(bed.netns());
        TraceSocket trace = TraceSocket.open(bed.netns())) {
      Rule drop =
          RuleBuilder.forFamily(TableFamily.INET)
              .destination(Expression.Compare.EQUAL, InetAddress.ofLiteral("127.0.0.1"), 32)
              .append(Expression.Verdict.DROP)
              .build();
      nftables.commit(
          new Transaction()
              .addOwned(TABLE)
              .add(OUTPUT, new Hook("filter", Hook.OUTPUT, Integer.MIN_VALUE))
              .append(OUTPUT, mark())
              .add(INPUT, new Hook("filter", Hook.INPUT, 0))
              .append(INPUT, drop));
      assertTrue(Probe.tcp(bed.netns(), "127.0.0.1", 98).isEmpty());
      assertEquals(List.of(), trace.drain());
      assertTrue(Probe.tcp(bed.netns(), "127.0.0.1", 99).isEmpty());
      List<TraceEvent> events =
          trace.drain().stream().filter(it -> it.step() != TraceEvent.Step.RETURN).toList();
      long mark = nftables.rules(OUTPUT).getFirst().handle();
      long dropping = nftables.rules(INPUT).getFirst().handle();
      assertEquals(OUTPUT, events.getFirst().chain());
      assertEquals(mark, events.getFirst().ruleHandle());
      assertEquals(TraceEvent.Verdict.CONTINUE, events.getFirst().verdict());
      assertEquals(TraceEvent.Step.POLICY, events.get(1).step());
      assertEquals(TraceEvent.Verdict.ACCEPT, events.get(1).verdict());
      TraceEvent last = events.get(2);
      assertEquals(INPUT, last.chain());
      assertEquals(dropping, last.ruleHandle());
      assertEquals(TraceEvent.Verdict.DROP, last.verdict());
      TraceEvent.Headers headers = last.headers().orElseThrow();
      assertEquals(20, headers.network().length());
      assertEquals(99, headers.transport().toArray()[3]);
      assertEquals(1, last.inputLink()); // lo
    }
  }

  @Test
  @KernelTest
  void ownedTableEndsWithItsSocket(TestBed bed) throws Exception {
    try (NftablesSocket other = NftablesSocket.open(bed.netns())) {
      try (NftablesSocket owner = NftablesSocket.open(bed.netns())) {
        owner.commit(new Transaction().addOwned(TABLE));
        assertTrue(other.exists(TABLE));
        NetlinkException e =
            assertThrows(
                NetlinkException.class, () -> other.commit(new Transaction().delete(TABLE)));
        assertEquals(Errno.EPERM, e.errno());
      }
      for (int i = 0; i < 100 && other.exists(TABLE); i++) {
        Thread.sleep(20); // while a child process of another test inherits the descriptor
      }
      assertFalse(other.exists(TABLE));
    }
  }

  @Test
  void messageOfWrongLengthIsRefused() {
    for (int length : new int[] {0, 15, 21, -1}) {
      byte[] datagram =
          ByteBuffer.allocate(20).order(ByteOrder.nativeOrder()).putInt(length).array();
      assertThrows(
          MalformedMessageException.class, () -> TraceSocket.read(datagram, new ArrayList<>()));
    }
  }
}
