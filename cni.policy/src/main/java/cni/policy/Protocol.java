// SPDX-License-Identifier: Apache-2.0
package cni.policy;

/** A transport protocol, as a rule names it in capitals. */
public enum Protocol {
  TCP(6, 6),
  UDP(17, 17),
  SCTP(132, 132),
  /** ICMP for IPv4, ICMPv6 for IPv6; without ports. */
  ICMP(1, 58);

  private final int ipv4Number;
  private final int ipv6Number;

  Protocol(int ipv4Number, int ipv6Number) {
    this.ipv4Number = ipv4Number;
    this.ipv6Number = ipv6Number;
  }

  /** Returns the number that the header of IPv4, or else of IPv6, has (linux/in.h, linux/in6.h). */
  public int number(boolean isV4) {
    return isV4 ? ipv4Number : ipv6Number;
  }

  /** Returns whether packets have ports. */
  public boolean hasPorts() {
    return this != ICMP;
  }
}
