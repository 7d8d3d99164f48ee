// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.api.InetAddresses;
import cni.netlink.ffm.nftables.Bytes;
import cni.netlink.ffm.nftables.SetElement;
import cni.netlink.ffm.nftables.TrackedConnection;
import cni.policy.PolicyEvaluator;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.nio.ByteBuffer;

/**
 * What the packets of one direction of a connection have where they are forwarded: after the
 * translation of the destination, before that of the source. Without ports those are -1.
 */
public record CutFlow(
    InetAddress source,
    InetAddress destination,
    int protocol,
    int sourcePort,
    int destinationPort) {
  private static final int IPV4_LENGTH = 4;
  private static final int IPV6_LENGTH = 16;

  /** Returns the direction of the first packet. */
  static CutFlow of(TrackedConnection it) {
    return new CutFlow(
        InetAddresses.of(it.source().toArray()),
        InetAddresses.of(it.server().toArray()),
        it.protocol(),
        it.sourcePort(),
        it.serverPort());
  }

  /** Returns whether the addresses of both ends are of one IP version. */
  static boolean isOne(TrackedConnection it) {
    return it.source().length() == it.server().length() && it.source().length() > 0;
  }

  /** Reads an element. */
  static CutFlow of(SetElement element, boolean isV4) {
    ByteBuffer key = ByteBuffer.wrap(element.first().toArray());
    byte[] source = new byte[isV4 ? IPV4_LENGTH : IPV6_LENGTH];
    byte[] destination = new byte[source.length];
    key.get(source).get(destination);
    return new CutFlow(
        InetAddresses.of(source),
        InetAddresses.of(destination),
        Byte.toUnsignedInt(key.get()),
        Short.toUnsignedInt(key.getShort()),
        Short.toUnsignedInt(key.getShort()));
  }

  CutFlow reversed() {
    return new CutFlow(destination, source, protocol, destinationPort, sourcePort);
  }

  SetElement element() {
    return SetElement.of(
        Keys.join(
            Bytes.of(source.getAddress()),
            Bytes.of(destination.getAddress()),
            Bytes.of((byte) protocol),
            Bytes.be16(sourcePort),
            Bytes.be16(destinationPort)));
  }

  boolean isV4() {
    return source instanceof Inet4Address;
  }

  boolean hasPorts() {
    return sourcePort >= 0;
  }

  boolean isForbidden(PolicyEvaluator evaluator) {
    return evaluator.forbids(source, destination, protocol, destinationPort);
  }
}
