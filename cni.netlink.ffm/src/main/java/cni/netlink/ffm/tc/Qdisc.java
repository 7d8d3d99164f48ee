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
import java.util.Optional;

/**
 * A queueing discipline of a link.
 *
 * @param link the link's index
 * @param kind the kind, such as {@code tbf}
 * @param handle the handle by which classes and filters refer to the qdisc
 * @param parent the handle of the parent class, or {@link TcConstants#ROOT} or {@link
 *     TcConstants#INGRESS}
 * @param bucket the parameters of a tbf; empty for other kinds
 * @param defaultClass of an htb, the minor number of the class for packets that no filter
 *     classifies; 0 for other kinds
 * @param queueLength the number of packets that wait in the queue
 */
public record Qdisc(
    int link,
    String kind,
    int handle,
    int parent,
    Optional<TokenBucket> bucket,
    int defaultClass,
    int queueLength) {
  // tbf
  private static final int TCA_TBF_PARMS = 1;
  private static final int TCA_TBF_RATE64 = 4;

  /** sizeof(struct tc_tbf_qopt): two rates of 12 bytes; limit, buffer, mtu u32. */
  private static final int TC_TBF_QOPT = 36;

  // htb
  private static final int TCA_HTB_INIT = 2;
  private static final int HTB_VERSION = 3;
  private static final int HTB_RATE_TO_QUANTUM = 10;

  /** sizeof(struct tc_htb_glob): version, rate2quantum, defcls, debug, direct_pkts, all u32. */
  private static final int TC_HTB_GLOB = 20;

  /** In TCA_STATS2: struct gnet_stats_queue, whose first field is the length in packets, u32. */
  private static final int TCA_STATS_QUEUE = 3;

  /**
   * Returns a request that adds a qdisc without options, such as {@code ingress}, {@code clsact} or
   * {@code noqueue}. It fails with EEXIST if the parent has a qdisc.
   */
  public static NetlinkRequest add(int link, String kind, int handle, int parent) {
    return create(link, kind, handle, parent).bytes(TcConstants.TCA_OPTIONS, new byte[0]);
  }

  private static NetlinkRequest create(int link, String kind, int handle, int parent) {
    String description = "add qdisc " + kind + " to link " + link;
    return TcMessages.createRequest(description, TcConstants.RTM_NEWQDISC, link, handle, parent, 0)
        .string(TcConstants.TCA_KIND, kind);
  }

  /**
   * Returns a request that adds a token bucket filter, tc-tbf(8). It fails with EEXIST if the
   * parent has a qdisc.
   */
  public static NetlinkRequest addTbf(int link, int handle, int parent, TokenBucket bucket) {
    return tbfOptions(create(link, "tbf", handle, parent), bucket);
  }

  /**
   * Returns a request that changes the parameters of a token bucket filter. The packets in its
   * queue stay (tbf_change in net/sched/sch_tbf.c). It fails with ENOENT if there is none.
   */
  public static NetlinkRequest changeTbf(int link, int handle, int parent, TokenBucket bucket) {
    String description = "change qdisc tbf of link " + link;
    var message =
        TcMessages.changeRequest(description, TcConstants.RTM_NEWQDISC, link, handle, parent);
    return tbfOptions(message.string(TcConstants.TCA_KIND, "tbf"), bucket);
  }

  private static NetlinkRequest tbfOptions(NetlinkRequest message, TokenBucket bucket) {
    ByteBuffer options = ByteBuffer.allocate(TC_TBF_QOPT).order(ByteOrder.nativeOrder());
    TcMessages.writeRate(options, 0, bucket.rate());
    TcMessages.writeRate(options, 0, 0);
    options.putInt(bucket.limit()).putInt(bucket.buffer()).putInt(0);
    return message.nest(
        TcConstants.TCA_OPTIONS,
        nested -> {
          nested.bytes(TCA_TBF_PARMS, options.array());
          if (TcMessages.exceeds32Bits(bucket.rate())) {
            nested.u64(TCA_TBF_RATE64, bucket.rate());
          }
        });
  }

  /**
   * Returns a request that adds a hierarchical token bucket, tc-htb(8). It fails with EEXIST if the
   * parent has a qdisc.
   *
   * @param defaultClass the minor number of the class for packets that no filter classifies
   */
  public static NetlinkRequest addHtb(int link, int handle, int parent, int defaultClass) {
    ByteBuffer global = ByteBuffer.allocate(TC_HTB_GLOB).order(ByteOrder.nativeOrder());
    global.putInt(HTB_VERSION).putInt(HTB_RATE_TO_QUANTUM).putInt(defaultClass);
    return create(link, "htb", handle, parent)
        .nest(TcConstants.TCA_OPTIONS, nested -> nested.bytes(TCA_HTB_INIT, global.array()));
  }

  /** Returns a request that deletes a qdisc with all its classes and filters. */
  public static NetlinkRequest delete(int link, int handle, int parent) {
    var message = new NetlinkRequest("delete qdisc of link " + link, TcConstants.RTM_DELQDISC, 0);
    return TcMessages.tcmsg(message, link, handle, parent, 0);
  }

  /**
   * Returns the qdiscs of a link.
   *
   * @param link the link's index
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public static List<Qdisc> list(RouteSocket routing, int link) throws IOException {
    var request =
        new NetlinkRequest(
            "list qdiscs of link " + link, TcConstants.RTM_GETQDISC, NetlinkConstants.NLM_F_DUMP);
    List<Qdisc> qdiscs = new ArrayList<>();
    for (ByteBuffer message : routing.query(TcMessages.tcmsg(request, link, 0, 0, 0))) {
      Qdisc qdisc = read(message);
      if (qdisc.link() == link) {
        qdiscs.add(qdisc);
      }
    }
    return qdiscs;
  }

  static Qdisc read(ByteBuffer message) throws MalformedMessageException {
    Attributes attributes = TcMessages.attributes(message);
    String kind = attributes.string(TcConstants.TCA_KIND).orElse("");
    boolean isTbf = kind.equals("tbf") && attributes.has(TcConstants.TCA_OPTIONS);
    boolean isHtb = kind.equals("htb");
    Attributes options = // those of other kinds may be a structure
        isTbf || isHtb
            ? attributes.nested(TcConstants.TCA_OPTIONS).orElse(Attributes.NONE)
            : Attributes.NONE;
    return new Qdisc(
        message.getInt(4),
        kind,
        message.getInt(8),
        message.getInt(12),
        isTbf ? Optional.of(readBucket(options)) : Optional.empty(),
        isHtb ? readDefaultClass(options) : 0,
        readQueueLength(attributes));
  }

  private static TokenBucket readBucket(Attributes options) throws MalformedMessageException {
    byte[] bytes = options.bytes(TCA_TBF_PARMS).orElse(new byte[0]);
    if (bytes.length < TC_TBF_QOPT) {
      throw new MalformedMessageException("options of a tbf of " + bytes.length + " bytes");
    }
    ByteBuffer parameters = ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder());
    long rate = TcMessages.readRate(parameters, 0, options, TCA_TBF_RATE64);
    return new TokenBucket(rate, parameters.getInt(24), parameters.getInt(28));
  }

  private static int readDefaultClass(Attributes options) {
    return options
        .bytes(TCA_HTB_INIT)
        .filter(it -> it.length >= TC_HTB_GLOB)
        .map(it -> ByteBuffer.wrap(it).order(ByteOrder.nativeOrder()).getInt(8))
        .orElse(0);
  }

  private static int readQueueLength(Attributes attributes) throws MalformedMessageException {
    return attributes
        .nested(TcConstants.TCA_STATS2)
        .orElse(Attributes.NONE)
        .bytes(TCA_STATS_QUEUE)
        .filter(it -> it.length >= Integer.BYTES)
        .map(it -> ByteBuffer.wrap(it).order(ByteOrder.nativeOrder()).getInt())
        .orElse(0);
  }
}
