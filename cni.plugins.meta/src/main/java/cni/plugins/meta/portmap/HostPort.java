// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import cni.api.InetAddresses;
import cni.api.PortMapping;
import cni.api.TransportProtocol;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.TableFamily;
import java.net.InetAddress;
import java.util.Optional;

/**
 * A port of the host that is mapped to a port of the container, in the terms of nf_tables: an entry
 * of {@code portMappings}, {@link PortMapping}.
 *
 * @param hostPort the port on the host, 1 to 65535
 * @param containerPort the port in the container, 1 to 65535
 * @param protocol the IP protocol number
 * @param hostIp the only address of the host to map; absent to map all of them
 * @param onlyFamily the only family to map, that of the key {@code "hostIP"} ("0.0.0.0" and "::"
 *     restrict the family alone); absent for both
 */
record HostPort(
    int hostPort,
    int containerPort,
    int protocol,
    Optional<InetAddress> hostIp,
    Optional<TableFamily> onlyFamily) {
  /** Returns the port of an entry of {@code portMappings}. */
  static HostPort of(PortMapping mapping) {
    return new HostPort(
        mapping.hostPort(),
        mapping.containerPort(),
        protocolNumber(mapping.protocol()),
        mapping.hostIp().filter(it -> !it.isAnyLocalAddress()),
        mapping.hostIp().map(TableFamily::of));
  }

  private static int protocolNumber(TransportProtocol protocol) {
    return switch (protocol) {
      case TCP -> RuleBuilder.TCP;
      case UDP -> RuleBuilder.UDP;
      case SCTP -> RuleBuilder.SCTP;
    };
  }

  /** Whether the mapping applies to container addresses of the family. */
  boolean appliesTo(TableFamily family) {
    return onlyFamily.isEmpty() || onlyFamily.get() == family;
  }

  /** Returns a key that mappings share if a packet can match several of them. */
  String group() {
    return hostPort + "/" + protocol;
  }

  /** Whether a packet could match both this mapping and one with the given protocol and port. */
  boolean overlaps(int otherProtocol, int otherPort, Optional<InetAddress> otherAddress) {
    return protocol == otherProtocol
        && hostPort == otherPort
        && (hostIp.isEmpty() || otherAddress.isEmpty() || hostIp.equals(otherAddress));
  }

  /** Returns the host's side of the mapping: {@code 10.0.0.1:8080/tcp}. */
  @Override
  public String toString() {
    return hostIp.map(address -> InetAddresses.format(address) + ":").orElse("")
        + hostPort
        + "/"
        + protocolName(protocol);
  }

  static String protocolName(int protocol) {
    return switch (protocol) {
      case RuleBuilder.TCP -> "tcp";
      case RuleBuilder.UDP -> "udp";
      case RuleBuilder.SCTP -> "sctp";
      default -> String.valueOf(protocol);
    };
  }
}
