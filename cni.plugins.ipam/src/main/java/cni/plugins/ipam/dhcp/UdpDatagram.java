// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.InetAddresses;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * A UDP datagram with its IPv4 header (RFC 768, RFC 791), for a packet socket: a client without an
 * address cannot use a UDP socket.
 *
 * @param source the sender's address
 * @param payload the payload
 */
record UdpDatagram(InetAddress source, ByteBuffer payload) {
  private static final int IP_HEADER = 20;
  private static final int UDP_HEADER = 8;
  private static final int UDP = 17;
  private static final int TTL = 64;

  /** Encodes a datagram, headers included. */
  static byte[] encode(
      InetAddress source, int sourcePort, InetAddress to, int toPort, byte[] payload) {
    int udpLength = UDP_HEADER + payload.length;
    ByteBuffer out = ByteBuffer.allocate(IP_HEADER + udpLength);
    out.put((byte) 0x45)
        .put((byte) 0x10); // version and header length, TOS "low delay" like other clients
    out.putShort((short) out.capacity()).putInt(0);
    out.put((byte) TTL).put((byte) UDP).putShort((short) 0);
    out.put(source.getAddress()).put(to.getAddress());
    out.putShort(10, (short) ~sum(out, 0, IP_HEADER, 0));
    out.putShort((short) sourcePort).putShort((short) toPort);
    out.putShort((short) udpLength).putShort((short) 0).put(payload);
    // The pseudo header: both addresses, the protocol, the length.
    int pseudo = sum(out, 12, 8, UDP + udpLength);
    int checksum = ~sum(out, IP_HEADER, udpLength, pseudo) & 0xffff;
    out.putShort(IP_HEADER + 6, (short) (checksum == 0 ? 0xffff : checksum));
    return out.array();
  }

  /** Returns the Internet checksum (RFC 1071), not inverted. */
  private static int sum(ByteBuffer bytes, int from, int length, int start) {
    long sum = start;
    for (int i = 0; i < length; i++) {
      int octet = Byte.toUnsignedInt(bytes.get(from + i));
      sum += i % 2 == 0 ? octet << 8 : octet;
    }
    while (sum >> 16 != 0) {
      sum = (sum & 0xffff) + (sum >> 16);
    }
    return (int) sum;
  }

  /**
   * Decodes a datagram; absent if the bytes are not a UDP datagram or its lengths do not fit. The
   * UDP checksum is not verified: between virtual interfaces of one machine the kernel leaves it
   * incomplete (checksum offload).
   */
  static Optional<UdpDatagram> decode(byte[] bytes) {
    ByteBuffer in = ByteBuffer.wrap(bytes);
    if (bytes.length < IP_HEADER + UDP_HEADER || bytes[0] >> 4 != 4) {
      return Optional.empty();
    }
    int header = (bytes[0] & 0xf) * 4;
    int length = Short.toUnsignedInt(in.getShort(2));
    if (header < IP_HEADER
        || length > bytes.length
        || length < header + UDP_HEADER
        || bytes[9] != UDP
        || sum(in, 0, header, 0) != 0xffff) {
      return Optional.empty();
    }
    int udpLength = Short.toUnsignedInt(in.getShort(header + 4));
    if (udpLength < UDP_HEADER || header + udpLength > length) {
      return Optional.empty();
    }
    byte[] source = new byte[4];
    in.get(12, source);
    return Optional.of(
        new UdpDatagram(
            InetAddresses.of(source), in.slice(header + UDP_HEADER, udpLength - UDP_HEADER)));
  }
}
