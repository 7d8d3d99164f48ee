package cni.netlink.ffm.tc;

import cni.netlink.ffm.NetlinkRequest;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * A class of a hierarchical token bucket, tc-htb(8).
 *
 * @param handle its number
 * @param rate in bytes per second, which is also its ceiling
 * @param burst how many bytes may go at once; 0 for as few as possible
 */
public record HtbClass(int handle, long rate, long burst) {
  private static final int TCA_HTB_PARMS = 1;
  private static final int TCA_HTB_RATE64 = 6;
  private static final int TCA_HTB_CEIL64 = 7;
  private static final int TC_LINKLAYER_ETHERNET = 1;

  /** sizeof(struct tc_htb_opt): two rates; buffer, cbuffer, quantum, level, prio u32. */
  private static final int TC_HTB_OPT = 44;

  /** How many bytes go before another class has its turn, at most that of the kernel. */
  private static final long MAX_QUANTUM_BYTES = 200_000;

  private static final long MIN_QUANTUM_BYTES = 1514;

  /** The request that adds it to a qdisc. */
  public NetlinkRequest addRequest(int link, int qdisc) {
    ByteBuffer options = ByteBuffer.allocate(TC_HTB_OPT).order(ByteOrder.nativeOrder());
    TcConstants.writeRate(options, TC_LINKLAYER_ETHERNET, rate);
    TcConstants.writeRate(options, TC_LINKLAYER_ETHERNET, rate);
    int buffer = burst == 0 ? 0 : TokenBucket.ticks(rate, burst);
    long quantum = Math.clamp(rate / 10, MIN_QUANTUM_BYTES, MAX_QUANTUM_BYTES);
    options.putInt(buffer).putInt(buffer).putInt((int) quantum);
    String what = "add htb class to link " + link;
    return TcConstants.createRequest(what, TcConstants.RTM_NEWTCLASS, link, handle, qdisc, 0)
        .string(TcConstants.TCA_KIND, "htb")
        .nest(
            TcConstants.TCA_OPTIONS,
            nested -> {
              nested.bytes(TCA_HTB_PARMS, options.array());
              if (TcConstants.exceeds32Bits(rate)) {
                nested.u64(TCA_HTB_RATE64, rate).u64(TCA_HTB_CEIL64, rate);
              }
            });
  }
}
