package cni.plugins.meta.portmap;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.InetAddresses;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.TableFamily;
import java.net.InetAddress;
import java.util.Locale;
import java.util.Optional;

/**
 * A port of the host that is mapped to a port of the container: an entry of {@code portMappings}
 * (CONVENTIONS.md of the specification).
 *
 * @param hostPort the port on the host, 1 to 65535
 * @param containerPort the port in the container, 1 to 65535
 * @param protocol the IP protocol number
 * @param hostIp the only address of the host to map; absent to map all of them
 * @param onlyFamily the only family to map, that of the key {@code "hostIP"} ("0.0.0.0" and "::"
 *     restrict the family alone); absent for both
 */
record PortMapping(
    int hostPort,
    int containerPort,
    int protocol,
    Optional<InetAddress> hostIp,
    Optional<TableFamily> onlyFamily) {
  private static final int MAX_PORT = 65535;

  /**
   * Reads an entry of {@code portMappings}.
   *
   * @throws CniException code 7 if a value is invalid
   */
  static PortMapping parse(ConfigObject entry) throws CniException {
    Optional<InetAddress> address = entry.parsed("hostIP", InetAddresses::parse);
    return new PortMapping(
        parsePort(entry, "hostPort"),
        parsePort(entry, "containerPort"),
        entry.parsed("protocol", PortMapping::parseProtocol).orElse(RuleBuilder.TCP),
        address.filter(it -> !it.isAnyLocalAddress()),
        address.map(TableFamily::of));
  }

  private static int parsePort(ConfigObject entry, String key) throws CniException {
    return entry
        .integer(key, 1, MAX_PORT)
        .orElseThrow(() -> entry.invalid(key, "is missing: give a port from 1 to " + MAX_PORT));
  }

  private static int parseProtocol(String name) {
    return switch (name.toLowerCase(Locale.ROOT)) {
      case "tcp" -> RuleBuilder.TCP;
      case "udp" -> RuleBuilder.UDP;
      case "sctp" -> RuleBuilder.SCTP;
      default -> throw new IllegalArgumentException("must be tcp, udp or sctp");
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
