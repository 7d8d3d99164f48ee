// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.tc;

/** Constants of linux/rtnetlink.h, linux/pkt_sched.h, linux/pkt_cls.h and linux/if_ether.h. */
public final class TcConstants {
  static final int RTM_NEWQDISC = 36;
  static final int RTM_DELQDISC = 37;
  static final int RTM_GETQDISC = 38;
  static final int RTM_NEWTCLASS = 40;
  static final int RTM_DELTCLASS = 41;
  static final int RTM_GETTCLASS = 42;
  static final int RTM_NEWTFILTER = 44;
  static final int RTM_DELTFILTER = 45;
  static final int RTM_GETTFILTER = 46;

  static final int TCA_KIND = 1;
  static final int TCA_OPTIONS = 2;
  static final int TCA_STATS2 = 7;

  /** The parent of a link's root qdisc, TC_H_ROOT. */
  public static final int ROOT = 0xffff_ffff;

  /** The parent of a link's ingress qdisc, TC_H_INGRESS. */
  public static final int INGRESS = 0xffff_fff1;

  /** The handle of a link's ingress qdisc, {@code ffff:0}. */
  public static final int INGRESS_HANDLE = 0xffff_0000;

  /** All protocols, ETH_P_ALL. */
  public static final int ALL_PROTOCOLS = 0x0003;

  /** IPv4, ETH_P_IP. */
  public static final int IPV4 = 0x0800;

  /** IPv6, ETH_P_IPV6. */
  public static final int IPV6 = 0x86dd;

  private TcConstants() {}

  /**
   * Returns the handle that tc(8) writes as {@code major:minor}, both in hexadecimal.
   *
   * @param major the number of the qdisc, up to 0xffff
   * @param minor the number of the class, up to 0xffff; 0 for the qdisc itself
   */
  public static int handle(int major, int minor) {
    return major << 16 | minor;
  }
}
