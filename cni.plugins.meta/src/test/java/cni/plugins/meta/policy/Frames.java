// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.zip.CRC32C;

/** Ethernet frames: those that tests make, and what those that arrived say. */
final class Frames {
  static final int ICMP = 1;
  static final int TCP = 6;
  static final int UDP = 17;
  static final int ICMPV6 = 58;
  static final int SCTP = 132;
  static final int IPV4 = 0x0800;
  static final int ARP = 0x0806;
  static final int VLAN = 0x8100;
  static final int IPV6 = 0x86dd;

  private static final int ETHERNET_HEADER = 14;
  private static final int IPV4_HEADER = 20;
  private static final int IPV6_HEADER = 40;

  private Frames() {}

  /**
   * A packet of IP.
   *
   * @param sourcePort the identifier, for ICMP
   * @param destinationPort the type, for ICMP
   */
  record Packet(
      InetAddress source,
      InetAddress destination,
      int protocol,
      int sourcePort,
      int destinationPort) {}

  /** Returns the packet of a frame; empty if it is no IP packet, or a fragment but the first. */
  static Optional<Packet> packet(byte[] frame) {
    ByteBuffer bytes = ByteBuffer.wrap(frame);
    int type = Short.toUnsignedInt(bytes.getShort(12));
    boolean isV4 = type == IPV4;
    if (!isV4 && type != IPV6) {
      return Optional.empty();
    }
    int length = isV4 ? 4 : 16;
    int addresses = ETHERNET_HEADER + (isV4 ? 12 : 8);
    int protocol = Byte.toUnsignedInt(frame[ETHERNET_HEADER + (isV4 ? 9 : 6)]);
    int header = ETHERNET_HEADER + (isV4 ? (frame[ETHERNET_HEADER] & 0xf) * 4 : IPV6_HEADER);
    boolean isFragment = isV4 && (bytes.getShort(ETHERNET_HEADER + 6) & 0x1fff) != 0;
    if (frame.length < header + 8 || isFragment) {
      return Optional.empty();
    }
    boolean isIcmp = protocol == ICMP || protocol == ICMPV6;
    return Optional.of(
        new Packet(
            address(frame, addresses, length),
            address(frame, addresses + length, length),
            protocol,
            Short.toUnsignedInt(bytes.getShort(isIcmp ? header + 4 : header)),
            isIcmp
                ? Byte.toUnsignedInt(frame[header])
                : Short.toUnsignedInt(bytes.getShort(header + 2))));
  }

  private static InetAddress address(byte[] frame, int offset, int length) {
    try {
      return InetAddress.getByAddress(Arrays.copyOfRange(frame, offset, offset + length));
    } catch (UnknownHostException e) {
      throw new AssertionError(e);
    }
  }

  /** Returns whether a frame contains bytes, such as a payload that no other one has. */
  static boolean contains(byte[] frame, byte[] part) {
    for (int i = 0; i + part.length <= frame.length; i++) {
      if (Arrays.equals(frame, i, i + part.length, part, 0, part.length)) {
        return true;
      }
    }
    return false;
  }

  /** Returns a frame; addresses are such as 02:00:00:00:00:01. */
  static byte[] ethernet(String source, String destination, int type, byte[] payload) {
    return ByteBuffer.allocate(ETHERNET_HEADER + payload.length)
        .put(mac(destination))
        .put(mac(source))
        .putShort((short) type)
        .put(payload)
        .array();
  }

  static byte[] mac(String text) {
    return HexFormat.ofDelimiter(":").parseHex(text);
  }

  /** Returns a frame with a packet of IP. */
  static byte[] ip(String source, String destination, Ip packet) {
    return ethernet(source, destination, packet.isV4() ? IPV4 : IPV6, packet.bytes());
  }

  /** A packet of IP with a payload of which the checksum is not calculated yet. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Ip(InetAddress source, InetAddress destination, int protocol, byte[] payload) {
    boolean isV4() {
      return source instanceof Inet4Address;
    }

    byte[] bytes() {
      return isV4() ? ipv4(this, 0x4000, checked()) : ipv6(this, protocol, checked());
    }

    /** Returns the payload with its checksum. */
    byte[] checked() {
      byte[] data = payload.clone();
      ByteBuffer bytes = ByteBuffer.wrap(data);
      switch (protocol) {
        case ICMP -> bytes.putShort(2, checksum(data));
        case ICMPV6 -> bytes.putShort(2, checksum(pseudoHeader(this)));
        case UDP -> bytes.putShort(6, checksum(pseudoHeader(this)));
        case TCP -> bytes.putShort(16, checksum(pseudoHeader(this)));
        case SCTP -> {
          var crc = new CRC32C();
          crc.update(data);
          bytes.order(ByteOrder.LITTLE_ENDIAN).putInt(8, (int) crc.getValue());
        }
        default -> {}
      }
      return data;
    }

    /** Returns the packet in two fragments, the first of which has 8 bytes of the payload. */
    byte[][] fragments() {
      byte[] data = checked();
      byte[] first = Arrays.copyOfRange(data, 0, 8);
      byte[] rest = Arrays.copyOfRange(data, 8, data.length);
      if (isV4()) {
        return new byte[][] {ipv4(this, 0x2000, first), ipv4(this, 1, rest)};
      }
      return new byte[][] {
        ipv6(this, 44, fragmentHeader(1, first)), ipv6(this, 44, fragmentHeader(8, rest))
      };
    }

    private byte[] fragmentHeader(int offset, byte[] data) {
      return ByteBuffer.allocate(8 + data.length)
          .put((byte) protocol)
          .put((byte) 0)
          .putShort((short) offset)
          .putInt(0x1234)
          .put(data)
          .array();
    }
  }

  private static byte[] ipv4(Ip packet, int fragment, byte[] payload) {
    ByteBuffer header = ByteBuffer.allocate(IPV4_HEADER + payload.length);
    header.putShort((short) 0x4500).putShort((short) header.capacity());
    header.putShort((short) 0x1234).putShort((short) fragment);
    header.put((byte) 64).put((byte) packet.protocol()).putShort((short) 0);
    header.put(packet.source().getAddress()).put(packet.destination().getAddress());
    header.putShort(10, checksum(Arrays.copyOf(header.array(), IPV4_HEADER)));
    return header.put(payload).array();
  }

  private static byte[] ipv6(Ip packet, int nextHeader, byte[] payload) {
    ByteBuffer header = ByteBuffer.allocate(IPV6_HEADER + payload.length);
    header.putInt(0x6000_0000).putShort((short) payload.length);
    int hops = packet.protocol() == ICMPV6 ? 255 : 64;
    header.put((byte) nextHeader).put((byte) hops);
    header.put(packet.source().getAddress()).put(packet.destination().getAddress());
    return header.put(payload).array();
  }

  private static byte[] pseudoHeader(Ip packet) {
    byte[] payload = packet.payload();
    return ByteBuffer.allocate(2 * packet.source().getAddress().length + 8 + payload.length)
        .put(packet.source().getAddress())
        .put(packet.destination().getAddress())
        .putInt(payload.length)
        .putInt(packet.protocol())
        .put(payload)
        .array();
  }

  /** Returns the checksum of RFC 1071. */
  private static short checksum(byte[] data) {
    long sum = 0;
    for (int i = 0; i < data.length; i += 2) {
      int low = i + 1 < data.length ? Byte.toUnsignedInt(data[i + 1]) : 0;
      sum += Byte.toUnsignedInt(data[i]) << 8 | low;
    }
    while (sum >>> 16 != 0) {
      sum = (sum & 0xffff) + (sum >>> 16);
    }
    return (short) ~sum;
  }

  /** Returns a request of ping. */
  static Ip echo(InetAddress source, InetAddress destination, int id, byte[] data) {
    boolean isV4 = source instanceof Inet4Address;
    ByteBuffer message = ByteBuffer.allocate(8 + data.length);
    message.put((byte) (isV4 ? 8 : 128)).put((byte) 0).putShort((short) 0);
    message.putShort((short) id).putShort((short) 1).put(data);
    return new Ip(source, destination, isV4 ? ICMP : ICMPV6, message.array());
  }

  /** Returns a message of ICMPv6. */
  static Ip icmpv6(InetAddress source, InetAddress destination, int type, byte[] body) {
    ByteBuffer message = ByteBuffer.allocate(4 + body.length);
    message.put((byte) type).put((byte) 0).putShort((short) 0).put(body);
    return new Ip(source, destination, ICMPV6, message.array());
  }

  /** Returns a datagram of UDP. */
  static Ip udp(
      InetAddress source, InetAddress destination, int sourcePort, int port, byte[] data) {
    ByteBuffer datagram = ByteBuffer.allocate(8 + data.length);
    datagram.putShort((short) sourcePort).putShort((short) port);
    datagram.putShort((short) datagram.capacity()).putShort((short) 0).put(data);
    return new Ip(source, destination, UDP, datagram.array());
  }

  /** Returns a SYN of TCP. */
  static Ip syn(InetAddress source, InetAddress destination, int sourcePort, int port) {
    ByteBuffer segment = ByteBuffer.allocate(20);
    segment.putShort((short) sourcePort).putShort((short) port).putInt(1).putInt(0);
    segment.putShort((short) 0x5002).putShort((short) 64240).putInt(0);
    return new Ip(source, destination, TCP, segment.array());
  }

  /** Returns a packet of SCTP with an INIT chunk (RFC 9260, 3.3.2), which opens an association. */
  static Ip init(InetAddress source, InetAddress destination, int sourcePort, int port) {
    ByteBuffer packet = ByteBuffer.allocate(32);
    packet.putShort((short) sourcePort).putShort((short) port).putInt(0).putInt(0);
    packet.put((byte) 1).put((byte) 0).putShort((short) 20);
    packet.putInt(0x01020304).putInt(65536).putShort((short) 1).putShort((short) 1).putInt(1);
    return new Ip(source, destination, SCTP, packet.array());
  }

  /** Returns an ARP request or reply. */
  static byte[] arp(
      int operation, String mac, InetAddress sender, String targetMac, InetAddress target) {
    return ByteBuffer.allocate(28)
        .putShort((short) 1)
        .putShort((short) IPV4)
        .put((byte) 6)
        .put((byte) 4)
        .putShort((short) operation)
        .put(mac(mac))
        .put(sender.getAddress())
        .put(mac(targetMac))
        .put(target.getAddress())
        .array();
  }
}
