package cni.plugins.meta.portmap;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.InetAddresses;
import cni.netlink.ffm.nftables.RuleBuilder;
import java.net.InetAddress;
import java.util.Locale;
import java.util.Optional;

/**
 * A port of the host that leads into the container (CONVENTIONS, {@code portMappings}).
 *
 * @param hostPort the host's port
 * @param containerPort the container's
 * @param protocol the transport protocol's number
 * @param hostIp the address of the host that it is for; absent for all of them
 * @param v4Only whether it is for IPv4 alone or, if false, IPv6 alone; absent if no address says so
 */
record PortMapping(
    int hostPort,
    int containerPort,
    int protocol,
    Optional<InetAddress> hostIp,
    Optional<Boolean> v4Only) {
  private static final int LAST_PORT = 65535;

  /**
   * Reads an entry.
   *
   * @throws CniException code 7 if a value makes no sense
   */
  static PortMapping parse(ConfigObject entry) throws CniException {
    Optional<InetAddress> address = entry.parsed("hostIP", InetAddresses::parse);
    return new PortMapping(
        parsePort(entry, "hostPort"),
        parsePort(entry, "containerPort"),
        entry.parsed("protocol", PortMapping::protocol).orElse(RuleBuilder.TCP),
        address.filter(it -> !it.isAnyLocalAddress()),
        address.map(InetAddresses::isV4));
  }

  private static int parsePort(ConfigObject entry, String key) throws CniException {
    return entry
        .integer(key, 1, LAST_PORT)
        .orElseThrow(() -> entry.invalid(key, "is missing: give a port from 1 to " + LAST_PORT));
  }

  private static int protocol(String name) {
    return switch (name.toLowerCase(Locale.ROOT)) {
      case "tcp" -> RuleBuilder.TCP;
      case "udp" -> RuleBuilder.UDP;
      case "sctp" -> RuleBuilder.SCTP;
      default -> throw new IllegalArgumentException("must be tcp, udp or sctp");
    };
  }

  /** Whether it is for containers' addresses of that family. */
  boolean appliesTo(boolean v4) {
    return v4Only.isEmpty() || v4Only.get() == v4;
  }

  /** Whether a packet could be meant for both. */
  boolean overlaps(int otherProtocol, int otherPort, Optional<InetAddress> otherAddress) {
    return protocol == otherProtocol
        && hostPort == otherPort
        && (hostIp.isEmpty() || otherAddress.isEmpty() || hostIp.equals(otherAddress));
  }

  /** As people write it: {@code 10.0.0.1:8080/tcp}. */
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
