// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static cni.netlink.ffm.nftables.ConntrackConstants.*;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * An entry of the connection tracking table. Of a protocol without ports those are -1.
 *
 * @param family the number of the address family, as in {@link TableFamily#number}
 * @param protocol the transport protocol
 * @param source the source address of its first packet
 * @param sourcePort the source port of its first packet
 * @param destination the destination address of its first packet
 * @param port the destination port of its first packet
 * @param server the address that replies come from, which is the translated destination
 * @param serverPort the port that replies come from
 * @param key what identifies the entry to the kernel
 */
public record TrackedConnection(
    int family,
    int protocol,
    Bytes source,
    int sourcePort,
    Bytes destination,
    int port,
    Bytes server,
    int serverPort,
    Key key) {
  /**
   * The attributes that identify an entry.
   *
   * @param tuple the tuple of the original direction, CTA_TUPLE_ORIG
   * @param zone the zone, CTA_ZONE; empty for the default one
   */
  public record Key(Bytes tuple, Optional<Bytes> zone) {}

  /** Reads a listed entry. */
  static TrackedConnection read(ByteBuffer message) throws MalformedMessageException {
    Attributes entry = NetfilterMessages.attributes(message);
    var original = Tuple.read(entry, CTA_TUPLE_ORIG);
    var reply = Tuple.read(entry, CTA_TUPLE_REPLY);
    return new TrackedConnection(
        NetfilterMessages.family(message),
        original.protocol,
        original.source,
        original.sourcePort,
        original.destination,
        original.destinationPort,
        reply.source,
        reply.sourcePort,
        new Key(
            Bytes.of(entry.bytes(CTA_TUPLE_ORIG).orElse(new byte[0])),
            entry.bytes(CTA_ZONE).map(Bytes::of)));
  }

  /** Addresses and ports of one direction. */
  private record Tuple(
      int protocol, Bytes source, int sourcePort, Bytes destination, int destinationPort) {
    static Tuple read(Attributes entry, int type) throws MalformedMessageException {
      Optional<Attributes> ip = part(entry, type, CTA_TUPLE_IP);
      Optional<Attributes> proto = part(entry, type, CTA_TUPLE_PROTO);
      return new Tuple(
          proto.isEmpty() ? -1 : proto.get().u8(CTA_PROTO_NUM).orElse(-1),
          address(ip, CTA_IP_V4_SRC, CTA_IP_V6_SRC),
          port(proto, CTA_PROTO_SRC_PORT),
          address(ip, CTA_IP_V4_DST, CTA_IP_V6_DST),
          port(proto, CTA_PROTO_DST_PORT));
    }

    private static Optional<Attributes> part(Attributes entry, int tuple, int part)
        throws MalformedMessageException {
      Optional<Attributes> attributes = entry.nested(tuple);
      return attributes.isEmpty() ? attributes : attributes.get().nested(part);
    }

    private static Bytes address(Optional<Attributes> ip, int v4, int v6) {
      return Bytes.of(ip.flatMap(it -> it.bytes(v4).or(() -> it.bytes(v6))).orElse(new byte[0]));
    }

    private static int port(Optional<Attributes> proto, int type) {
      byte[] bytes = proto.flatMap(it -> it.bytes(type)).orElse(new byte[0]);
      return bytes.length == Short.BYTES
          ? Short.toUnsignedInt(ByteBuffer.wrap(bytes).getShort())
          : -1;
    }
  }
}
