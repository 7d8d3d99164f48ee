package cni.netlink.ffm.tc;

import cni.netlink.ffm.NetlinkRequest;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * A class of a hierarchical token bucket qdisc, tc-htb(8).
 *
 * @param handle the handle of the class, see {@link TcConstants#handle}
 * @param rate the rate and the ceiling, in bytes per second
 * @param burst the number of bytes that may be sent at once; 0 for as few as possible
 */
public record HtbClass(int handle, long rate, long burst) {
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
   * Returns a request that adds the class to a qdisc. It fails with EEXIST if there is a class with
   * that handle.
   *
   * @param link the index of the link
   * @param qdisc the handle of the qdisc
   */
  public NetlinkRequest addRequest(int link, int qdisc) {
    ByteBuffer options = ByteBuffer.allocate(TC_HTB_OPT).order(ByteOrder.nativeOrder());
    TcMessages.writeRate(options, TC_LINKLAYER_ETHERNET, rate);
    TcMessages.writeRate(options, TC_LINKLAYER_ETHERNET, rate);
    int buffer = burst == 0 ? 0 : TokenBucket.ticks(rate, burst);
    long quantum = Math.clamp(rate / 10, MIN_QUANTUM_BYTES, MAX_QUANTUM_BYTES);
    options.putInt(buffer).putInt(buffer).putInt((int) quantum);
    String description = "add htb class to link " + link;
    return TcMessages.createRequest(description, TcConstants.RTM_NEWTCLASS, link, handle, qdisc, 0)
        .string(TcConstants.TCA_KIND, "htb")
        .nest(
            TcConstants.TCA_OPTIONS,
            nested -> {
              nested.bytes(TCA_HTB_PARMS, options.array());
              if (TcMessages.exceeds32Bits(rate)) {
                nested.u64(TCA_HTB_RATE64, rate).u64(TCA_HTB_CEIL64, rate);
              }
            });
  }
}
