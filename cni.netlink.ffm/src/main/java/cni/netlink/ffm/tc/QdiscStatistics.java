// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.tc;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * The counters of a queueing discipline since it was added (TCA_STATS2, linux/gen_stats.h).
 *
 * @param qdisc the qdisc, read together with its counters
 * @param bytes the bytes of the packets that it passed on
 * @param packets the packets that it passed on
 * @param drops the packets that it dropped; an unsigned 32-bit number in the kernel, which wraps
 * @param overlimits how often a packet had to wait for the limit; an unsigned 32-bit number
 * @param backlog the bytes that wait in its queue
 */
public record QdiscStatistics(
    Qdisc qdisc, long bytes, long packets, long drops, long overlimits, long backlog) {
  private static final int TCA_STATS_BASIC = 1;
  private static final int TCA_STATS_QUEUE = 3;
  private static final int TCA_STATS_PKT64 = 8;

  /** sizeof(struct gnet_stats_basic), without padding: bytes u64, packets u32. */
  private static final int GNET_STATS_BASIC = 12;

  /** sizeof(struct gnet_stats_queue): qlen, backlog, drops, requeues, overlimits, all u32. */
  private static final int GNET_STATS_QUEUE = 20;

  /**
   * Returns the qdiscs of all links, with their counters, in one dump: the kernel walks all links
   * also for a dump of one link's qdiscs (tc_dump_qdisc in net/sched/sch_api.c). The qdiscs that
   * links have by default, such as noqueue, are left out by the kernel.
   *
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public static List<QdiscStatistics> listAll(RouteSocket routing) throws IOException {
    var request =
        new NetlinkRequest("list qdiscs", TcConstants.RTM_GETQDISC, NetlinkConstants.NLM_F_DUMP);
    List<QdiscStatistics> all = new ArrayList<>();
    for (ByteBuffer message : routing.query(TcMessages.tcmsg(request, 0, 0, 0, 0))) {
      all.add(read(message));
    }
    return all;
  }

  static QdiscStatistics read(ByteBuffer message) throws MalformedMessageException {
    Attributes statistics =
        TcMessages.attributes(message).nested(TcConstants.TCA_STATS2).orElse(Attributes.NONE);
    ByteBuffer basic = structure(statistics, TCA_STATS_BASIC, GNET_STATS_BASIC);
    ByteBuffer packets64 = structure(statistics, TCA_STATS_PKT64, Long.BYTES);
    ByteBuffer queue = structure(statistics, TCA_STATS_QUEUE, GNET_STATS_QUEUE);
    long packets32 = Integer.toUnsignedLong(basic.getInt(8));
    return new QdiscStatistics(
        Qdisc.read(message),
        basic.getLong(0),
        Math.max(packets32, packets64.getLong(0)), // PKT64 is sent only where 32 bits are too few
        Integer.toUnsignedLong(queue.getInt(8)),
        Integer.toUnsignedLong(queue.getInt(16)),
        Integer.toUnsignedLong(queue.getInt(4)));
  }

  /** Returns a structure of at least a length; zeros if the kernel has sent none or a shorter. */
  private static ByteBuffer structure(Attributes attributes, int attribute, int length) {
    byte[] bytes =
        attributes.bytes(attribute).filter(it -> it.length >= length).orElse(new byte[length]);
    return ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder());
  }
}
