// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.netlink.ffm.nftables.TraceEvent.Headers;
import cni.netlink.ffm.packet.ProbeSocket;
import cni.netlink.ffm.route.IpFamily;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Optional;

/**
 * What identifies the packets of a probe in traces, also after a translation of addresses and
 * ports: the cookie at the beginning of the payload, or over TCP the sequence number, which is
 * known once the first packet has been seen.
 */
final class FlowKey {
  /** Bytes of payload that a trace still shows after the header of UDP or ICMP. */
  static final int COOKIE = 12;

  private static final int PAYLOAD = 8;
  private static final int TCP_SYN = 0x02;
  private static final int TCP_ACK = 0x10;
  private static final int TCP_HEADER = 20;

  private final ProbeSocket.Kind kind;
  private final IpFamily family;
  private final int sourcePort;
  private final byte[] cookie;

  /** The sequence number of the connection request; empty until it has been seen. */
  private Optional<Integer> sequence = Optional.empty();

  /** Whether a packet is one of the probe, or an answer to it. */
  enum Direction {
    FORWARD,
    REPLY
  }

  FlowKey(ProbeSocket.Kind kind, IpFamily family, int sourcePort, byte[] cookie) {
    this.kind = kind;
    this.family = family;
    this.sourcePort = sourcePort;
    this.cookie = cookie.clone();
  }

  ProbeSocket.Kind kind() {
    return kind;
  }

  IpFamily family() {
    return family;
  }

  int sourcePort() {
    return sourcePort;
  }

  /** Returns which way a packet goes; empty if it does not belong to the probe. */
  Optional<Direction> direction(Headers headers) {
    byte[] transport = headers.transport().toArray();
    if (!isProtocol(headers.network().toArray()) || transport.length < PAYLOAD) {
      return Optional.empty();
    }
    return switch (kind) {
      case TCP -> tcp(transport);
      case UDP -> hasCookie(transport) ? Optional.of(Direction.FORWARD) : Optional.empty();
      case ECHO -> echo(transport);
    };
  }

  /** IPv6 extension headers do not occur: the probe has none. */
  private boolean isProtocol(byte[] network) {
    boolean isV4 = network.length > 0 && (network[0] & 0xf0) == 0x40;
    int offset = isV4 ? 9 : 6;
    return isV4 == (family == IpFamily.IPV4)
        && network.length > offset
        && Byte.toUnsignedInt(network[offset]) == kind.protocol(family);
  }

  private Optional<Direction> tcp(byte[] transport) {
    if (transport.length < TCP_HEADER) {
      return Optional.empty();
    }
    ByteBuffer header = ByteBuffer.wrap(transport);
    int flags = transport[13];
    boolean isRequest = (flags & TCP_SYN) != 0 && (flags & TCP_ACK) == 0;
    if (isRequest && sequence.isEmpty() && port(transport, 0) == sourcePort) {
      sequence = Optional.of(header.getInt(4));
    }
    if (sequence.isEmpty()) {
      return Optional.empty();
    }
    int start = sequence.get();
    if (isRequest && header.getInt(4) == start) {
      return Optional.of(Direction.FORWARD);
    }
    boolean isAnswer = (flags & TCP_ACK) != 0 && header.getInt(8) == start + 1;
    return isAnswer ? Optional.of(Direction.REPLY) : Optional.empty();
  }

  private Optional<Direction> echo(byte[] transport) {
    if (!hasCookie(transport)) {
      return Optional.empty();
    }
    int request = family == IpFamily.IPV4 ? 8 : 128;
    boolean isRequest = Byte.toUnsignedInt(transport[0]) == request;
    return Optional.of(isRequest ? Direction.FORWARD : Direction.REPLY);
  }

  private boolean hasCookie(byte[] transport) {
    int end = Math.min(transport.length, PAYLOAD + COOKIE);
    return end == PAYLOAD + COOKIE && Arrays.equals(transport, PAYLOAD, end, cookie, 0, COOKIE);
  }

  /** Returns the destination port; 0 if the protocol has none. */
  int destinationPort(Headers headers) {
    return kind == ProbeSocket.Kind.ECHO ? 0 : port(headers.transport().toArray(), 2);
  }

  private static int port(byte[] transport, int offset) {
    return Short.toUnsignedInt(ByteBuffer.wrap(transport).getShort(offset));
  }

  /** Returns the source address. */
  InetAddress source(Headers headers) {
    return address(headers, family == IpFamily.IPV4 ? 12 : 8);
  }

  /** Returns the destination address. */
  InetAddress destination(Headers headers) {
    return address(headers, family == IpFamily.IPV4 ? 16 : 24);
  }

  private InetAddress address(Headers headers, int offset) {
    byte[] network = headers.network().toArray();
    try {
      return InetAddress.getByAddress(
          Arrays.copyOfRange(network, offset, offset + family.addressLength()));
    } catch (UnknownHostException e) {
      throw new IllegalStateException("an address of 4 or 16 bytes is one", e);
    }
  }
}
