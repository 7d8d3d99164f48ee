// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import cni.netlink.ffm.MalformedMessageException;
import java.net.Inet4Address;
import java.net.InetAddress;

/** An IP address family, with its number in netlink messages (AF_* of sys/socket.h). */
public enum IpFamily {
  IPV4(RtnetlinkConstants.AF_INET, 4),
  IPV6(RtnetlinkConstants.AF_INET6, 16);

  private final int number;
  private final int addressLength;

  IpFamily(int number, int addressLength) {
    this.number = number;
    this.addressLength = addressLength;
  }

  /** Returns the family of an address. */
  public static IpFamily of(InetAddress address) {
    return address instanceof Inet4Address ? IPV4 : IPV6;
  }

  static IpFamily ofNumber(int number) throws MalformedMessageException {
    for (IpFamily family : values()) {
      if (family.number == number) {
        return family;
      }
    }
    throw new MalformedMessageException("address family " + number + " is neither IPv4 nor IPv6");
  }

  /** Returns AF_INET or AF_INET6. */
  public int number() {
    return number;
  }

  /** Returns the length of an address in bytes: 4 or 16. */
  public int addressLength() {
    return addressLength;
  }

  /** Returns the length of an address in bits, the longest prefix: 32 or 128. */
  public int addressBits() {
    return 8 * addressLength;
  }
}
