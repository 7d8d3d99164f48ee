// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.packet;

import cni.netlink.ffm.route.Mac;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Arrays;
import java.util.Optional;

/**
 * A packet of the Address Resolution Protocol for IPv4 over Ethernet (RFC 826).
 *
 * @param operation {@link #REQUEST} or {@link #REPLY}
 * @param senderMac the sender's hardware address, lower case with colons
 * @param senderAddress the sender's IPv4 address; 0.0.0.0 in a probe (RFC 5227)
 * @param targetAddress the IPv4 address that is asked for, or that of the receiver of a reply
 */
public record ArpPacket(
    int operation, String senderMac, InetAddress senderAddress, InetAddress targetAddress) {
  /** The operation that asks for the hardware address of an IPv4 address. */
  public static final int REQUEST = 1;

  /** The operation that answers a request. */
  public static final int REPLY = 2;

  static final int HARDWARE_ETHERNET = 1;
  static final int PROTOCOL_IPV4 = 0x0800;
  static final int MAC_LENGTH = 6;
  static final int ADDRESS_LENGTH = 4;

  /** The length in bytes; Ethernet pads frames, so that a packet may be longer. */
  static final int LENGTH = 28;

  // Offsets in the packet.
  static final int HARDWARE_TYPE = 0;
  static final int PROTOCOL_TYPE = 2;
  static final int LENGTHS = 4;
  private static final int OPERATION = 6;
  private static final int SENDER_MAC = 8;
  static final int SENDER_ADDRESS = 14;
  private static final int TARGET_ADDRESS = 24;

  /**
   * Parses a packet, from the ARP header on.
   *
   * @return empty if it is truncated, is not for IPv4 over Ethernet, is neither request nor reply,
   *     or names as its sender a hardware address that no station has: zero or that of a group
   */
  public static Optional<ArpPacket> parse(byte[] packet) {
    if (packet.length < LENGTH
        || u16(packet, HARDWARE_TYPE) != HARDWARE_ETHERNET
        || u16(packet, PROTOCOL_TYPE) != PROTOCOL_IPV4
        || u16(packet, LENGTHS) != (MAC_LENGTH << 8 | ADDRESS_LENGTH)) {
      return Optional.empty();
    }
    int operation = u16(packet, OPERATION);
    byte[] mac = Arrays.copyOfRange(packet, SENDER_MAC, SENDER_MAC + MAC_LENGTH);
    boolean isStation = (mac[0] & 1) == 0 && !Arrays.equals(mac, new byte[MAC_LENGTH]);
    if (!isStation || (operation != REQUEST && operation != REPLY)) {
      return Optional.empty();
    }
    return Optional.of(
        new ArpPacket(
            operation,
            Mac.format(mac),
            address(packet, SENDER_ADDRESS),
            address(packet, TARGET_ADDRESS)));
  }

  private static int u16(byte[] packet, int offset) {
    return Byte.toUnsignedInt(packet[offset]) << 8 | Byte.toUnsignedInt(packet[offset + 1]);
  }

  private static InetAddress address(byte[] packet, int offset) {
    try {
      return InetAddress.getByAddress(Arrays.copyOfRange(packet, offset, offset + ADDRESS_LENGTH));
    } catch (UnknownHostException e) {
      throw new AssertionError("four bytes are an address", e);
    }
  }
}
