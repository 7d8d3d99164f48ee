// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.tc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import cni.netlink.ffm.Mutations;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Mutated messages about qdiscs and filters. */
class TcMutationTest {
  @Test
  void qdiscsAreReadOrMalformed() throws IOException {
    Mutations.test(
        Mutations.payloads(
            List.of(
                Qdisc.addTbf(2, 0x10000, TcConstants.ROOT, TokenBucket.of(8_000_000, 80_000)),
                Qdisc.addTbf(2, 0x10000, TcConstants.ROOT, TokenBucket.of(1L << 40, 80_000)),
                Qdisc.addHtb(2, 0x10000, TcConstants.ROOT, 30))),
        message -> assertNotNull(Qdisc.read(message).toString()));
  }

  @Test
  void statisticsOfQdiscsAreReadOrMalformed() throws IOException {
    ByteBuffer basic = ByteBuffer.allocate(16).order(ByteOrder.nativeOrder());
    basic.putLong(5_000_000_000L).putInt(-1);
    ByteBuffer queue = ByteBuffer.allocate(20).order(ByteOrder.nativeOrder());
    queue.putInt(1).putInt(1500).putInt(-2).putInt(3).putInt(4);
    List<byte[]> messages =
        Mutations.payloads(
            List.of(
                Qdisc.addTbf(2, 0x10000, TcConstants.ROOT, TokenBucket.of(8_000_000, 80_000))
                    .nest(
                        TcConstants.TCA_STATS2,
                        nested -> nested.bytes(1, basic.array()).bytes(3, queue.array()))));
    QdiscStatistics read =
        QdiscStatistics.read(ByteBuffer.wrap(messages.getFirst()).order(ByteOrder.nativeOrder()));
    assertEquals(
        new QdiscStatistics(read.qdisc(), 5_000_000_000L, 4_294_967_295L, 4_294_967_294L, 4, 1500),
        read);
    assertEquals(1, read.qdisc().queueLength());
    Mutations.test(messages, message -> assertNotNull(QdiscStatistics.read(message).toString()));
  }

  @Test
  void classesAreReadOrMalformed() throws IOException {
    Mutations.test(
        Mutations.payloads(
            List.of(
                HtbClass.of(0x10001, 1_000_000, 80_000).addRequest(2, 0x10000),
                HtbClass.of(0x10001, 1L << 40, 80_000).addRequest(2, 0x10000))),
        HtbClass::read);
  }

  @Test
  void filtersAreReadOrMalformed() throws IOException {
    InetAddress v4 = InetAddress.ofLiteral("10.1.2.3");
    Mutations.test(
        Mutations.payloads(
            List.of(
                TcFilter.redirectIngress(2, 1, 3),
                TcFilter.classifier(16, v4, 24, true, 0x10001).addRequest(2, 0x10000),
                TcFilter.redirectAll(2, TcConstants.INGRESS_HANDLE, 1, 3),
                TcFilter.redirectDestination(2, TcConstants.INGRESS_HANDLE, 1, v4, 3))),
        TcFilter::read);
  }
}
