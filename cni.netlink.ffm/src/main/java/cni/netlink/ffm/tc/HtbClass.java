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
 * A class of a hierarchical token bucket qdisc, tc-htb(8). Bursts are the times in ticks that they
 * take at the rate, as unsigned 32-bit numbers; see {@link TokenBucket}.
 *
 * @param handle the handle of the class, see {@link TcConstants#handle}
 * @param rate the guaranteed rate in bytes per second
 * @param ceiling the rate that the class may reach with what others leave, in bytes per second
 * @param buffer the burst at the rate
 * @param ceilingBuffer the burst at the ceiling
 * @param quantum the number of bytes that are sent before another class is served
 * @param priority classes with lower numbers are served first
 */
public record HtbClass(
    int handle, long rate, long ceiling, int buffer, int ceilingBuffer, int quantum, int priority) {
  private static final int TCA_HTB_PARMS = 1;
  private static final int TCA_HTB_RATE64 = 6;
  private static final int TCA_HTB_CEIL64 = 7;
  private static final int TC_LINKLAYER_ETHERNET = 1;

  /** sizeof(struct tc_htb_opt): two rates; buffer, cbuffer, quantum, level, prio u32. */
  private static final int TC_HTB_OPT = 44;

  /** The greatest number of bytes sent before another class is served, the kernel's limit. */
  private static final long MAX_QUANTUM_BYTES = 200_000;

  private static final long MIN_QUANTUM_BYTES = 1514;

  /**
   * Returns a class whose ceiling is its rate.
   *
   * @param rate in bytes per second
   * @param burst the number of bytes that may be sent at once; 0 for as few as possible
   */
  public static HtbClass of(int handle, long rate, long burst) {
    int buffer = burst == 0 ? 0 : TokenBucket.ticks(rate, burst);
    int quantum = (int) Math.clamp(rate / 10, MIN_QUANTUM_BYTES, MAX_QUANTUM_BYTES);
    return new HtbClass(handle, rate, rate, buffer, buffer, quantum, 0);
  }

  /**
   * Returns a request that adds the class to a qdisc. It fails with EEXIST if there is a class with
   * that handle.
   *
   * @param link the index of the link
   * @param qdisc the handle of the qdisc
   */
  public NetlinkRequest addRequest(int link, int qdisc) {
    String description = "add htb class to link " + link;
    return options(
        TcMessages.createRequest(description, TcConstants.RTM_NEWTCLASS, link, handle, qdisc, 0));
  }

  /**
   * Returns a request that gives the class with this handle these parameters. The packets in its
   * queue stay (htb_change_class in net/sched/sch_htb.c). It fails with ENOENT if there is none.
   */
  public NetlinkRequest changeRequest(int link, int qdisc) {
    String description = "change htb class of link " + link;
    return options(
        TcMessages.changeRequest(description, TcConstants.RTM_NEWTCLASS, link, handle, qdisc));
  }

  /** Returns a request that deletes the class with this handle. */
  public NetlinkRequest deleteRequest(int link, int qdisc) {
    String description = "delete htb class of link " + link;
    return TcMessages.changeRequest(description, TcConstants.RTM_DELTCLASS, link, handle, qdisc);
  }

  private NetlinkRequest options(NetlinkRequest message) {
    ByteBuffer options = ByteBuffer.allocate(TC_HTB_OPT).order(ByteOrder.nativeOrder());
    TcMessages.writeRate(options, TC_LINKLAYER_ETHERNET, rate);
    TcMessages.writeRate(options, TC_LINKLAYER_ETHERNET, ceiling);
    options.putInt(buffer).putInt(ceilingBuffer).putInt(quantum).putInt(0).putInt(priority);
    return message
        .string(TcConstants.TCA_KIND, "htb")
        .nest(
            TcConstants.TCA_OPTIONS,
            nested -> {
              nested.bytes(TCA_HTB_PARMS, options.array());
              if (TcMessages.exceeds32Bits(rate)) {
                nested.u64(TCA_HTB_RATE64, rate);
              }
              if (TcMessages.exceeds32Bits(ceiling)) {
                nested.u64(TCA_HTB_CEIL64, ceiling);
              }
            });
  }

  /**
   * Returns the htb classes of a link.
   *
   * @param link the link's index
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public static List<HtbClass> list(RouteSocket routing, int link) throws IOException {
    var request =
        new NetlinkRequest(
            "list classes of link " + link, TcConstants.RTM_GETTCLASS, NetlinkConstants.NLM_F_DUMP);
    List<HtbClass> classes = new ArrayList<>();
    for (ByteBuffer message : routing.query(TcMessages.tcmsg(request, link, 0, 0, 0))) {
      Attributes attributes = TcMessages.attributes(message);
      if (attributes.string(TcConstants.TCA_KIND).orElse("").equals("htb")) {
        classes.add(read(message));
      }
    }
    return classes;
  }

  static HtbClass read(ByteBuffer message) throws MalformedMessageException {
    Attributes options =
        TcMessages.attributes(message).nested(TcConstants.TCA_OPTIONS).orElse(Attributes.NONE);
    byte[] bytes = options.bytes(TCA_HTB_PARMS).orElse(new byte[0]);
    if (bytes.length < TC_HTB_OPT) {
      throw new MalformedMessageException("options of an htb class of " + bytes.length + " bytes");
    }
    ByteBuffer parameters = ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder());
    return new HtbClass(
        message.getInt(8),
        TcMessages.readRate(parameters, 0, options, TCA_HTB_RATE64),
        TcMessages.readRate(parameters, 12, options, TCA_HTB_CEIL64),
        parameters.getInt(24),
        parameters.getInt(28),
        parameters.getInt(32),
        parameters.getInt(40));
  }
}
