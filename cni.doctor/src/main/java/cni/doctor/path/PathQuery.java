// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import java.net.Inet4Address;
import java.net.InetAddress;
import java.util.Optional;

/**
 * A packet to follow.
 *
 * @param source who sends it
 * @param destination who should receive it
 * @param address the address it is sent to, one of the destination's or of the host if a port is
 *     published
 * @param protocol what is sent
 * @param port the port it is sent to; ignored if the protocol has no ports
 * @param size the length of the IP packet in bytes, at least {@link #minSize}, which is sent with
 *     the prohibition to fragment it; 0 for a short one. TCP connection requests are always short
 * @param probe whether to send it, rather than only to look at the configuration
 * @param sourceAddress the address that it is sent from; empty for the one that the route suggests
 */
public record PathQuery(
    PathEnd source,
    PathEnd destination,
    InetAddress address,
    ProbeProtocol protocol,
    int port,
    int size,
    boolean probe,
    Optional<InetAddress> sourceAddress) {
  private static final int IPV4_HEADER = 20;
  private static final int IPV6_HEADER = 40;

  /** The header of UDP and of an ICMP echo request. */
  private static final int TRANSPORT_HEADER = 8;

  /** Creates a query with the source address that the route suggests. */
  public PathQuery(
      PathEnd source,
      PathEnd destination,
      InetAddress address,
      ProbeProtocol protocol,
      int port,
      int size,
      boolean probe) {
    this(source, destination, address, protocol, port, size, probe, Optional.empty());
  }

  /**
   * Returns the least length in bytes of a packet to an address: its headers, and what the tracer
   * recognizes it by.
   */
  public static int minSize(InetAddress address) {
    return headers(address) + FlowKey.COOKIE;
  }

  /** Returns the length in bytes of the headers of UDP and ICMP packets to an address. */
  static int headers(InetAddress address) {
    return (address instanceof Inet4Address ? IPV4_HEADER : IPV6_HEADER) + TRANSPORT_HEADER;
  }
}
