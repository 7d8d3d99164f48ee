// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.InetAddresses;
import java.net.InetAddress;
import java.util.Arrays;
import java.util.Optional;

/**
 * A connection, in the direction of its first packet.
 *
 * @param source who opens it
 * @param destination who is asked
 * @param protocol the number in the IP header, such as 6 for TCP
 * @param port the destination port, ignored for protocols without ports; 0 for all of them: only
 *     rules for every port allow it
 */
public record Flow(Party source, Party destination, int protocol, int port) {
  /**
   * Checks that both addresses are of one family.
   *
   * @throws IllegalArgumentException if they are not
   */
  public Flow {
    if (isV4(source.address()) != isV4(destination.address())) {
      throw new IllegalArgumentException(
          InetAddresses.format(source.address())
              + " and "
              + InetAddresses.format(destination.address())
              + " are of different IP versions");
    }
  }

  /** Creates a flow of a protocol that rules know. */
  public Flow(Party source, Party destination, Protocol protocol, int port) {
    this(source, destination, protocol.number(isV4(source.address())), port);
  }

  private static boolean isV4(InetAddress address) {
    return InetAddresses.isV4(address);
  }

  /** Returns whether the addresses are IPv4. */
  public boolean isV4() {
    return isV4(source.address());
  }

  /** Returns the protocol, if it is one that rules know. */
  public Optional<Protocol> knownProtocol() {
    return Arrays.stream(Protocol.values()).filter(it -> it.number(isV4()) == protocol).findFirst();
  }

  /** Returns the protocol and the port for messages, such as "TCP 80". */
  String describeService() {
    return knownProtocol()
        .map(it -> it.hasPorts() && port > 0 ? it + " " + port : it.toString())
        .orElse("IP protocol " + protocol);
  }
}
