// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.api.InetAddresses;
import java.net.Inet4Address;
import java.net.InetAddress;

/** Addresses and protocols that rules name. */
final class Addresses {
  static final Inet4Address UNSPECIFIED_4 = (Inet4Address) InetAddresses.parse("0.0.0.0");
  static final InetAddress UNSPECIFIED_6 = InetAddresses.parse("::");

  /** The network of link-local addresses, with a prefix of 10 bits. */
  static final InetAddress LINK_LOCAL = InetAddresses.parse("fe80::");

  /** IPPROTO_ICMPV6 of linux/in6.h. */
  static final int ICMPV6 = 58;

  private Addresses() {}
}
