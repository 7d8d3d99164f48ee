// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import cni.api.internal.CniCallable;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A port of the host that leads to a port of the container: an entry of the capability {@code
 * portMappings} (CONVENTIONS.md, "port mappings"), and the text form that {@code cni add --publish}
 * takes.
 *
 * @param hostPort the port on the host, 1 to 65535
 * @param containerPort the port in the container, 1 to 65535
 * @param protocol the protocol of both
 * @param hostIp the only address of the host to map; {@code 0.0.0.0} and {@code ::} stand for all
 *     of their family, absence for all of both
 */
public record PortMapping(
    int hostPort, int containerPort, TransportProtocol protocol, Optional<InetAddress> hostIp) {
  /**
   * The largest number of mappings of one attachment. Each is up to four rules of the kernel, in
   * one message to it and in every result and check.
   */
  public static final int MAX_PER_ATTACHMENT = 4096;

  private static final int MAX_PORT = 65535;

  /** The destination of broadcasts to the sender's network, RFC 919. */
  private static final InetAddress LIMITED_BROADCAST = InetAddresses.parse("255.255.255.255");

  /**
   * Checks the ports.
   *
   * @throws IllegalArgumentException if one is not from 1 to 65535
   */
  public PortMapping {
    requireNonNull(protocol, "protocol");
    requireNonNull(hostIp, "hostIp");
    requirePort(hostPort);
    requirePort(containerPort);
  }

  /** Returns a mapping of a TCP port at all addresses of the host. */
  public static PortMapping tcp(int hostPort, int containerPort) {
    return new PortMapping(hostPort, containerPort, TransportProtocol.TCP, Optional.empty());
  }

  /** Returns a mapping of a UDP port at all addresses of the host. */
  public static PortMapping udp(int hostPort, int containerPort) {
    return new PortMapping(hostPort, containerPort, TransportProtocol.UDP, Optional.empty());
  }

  /**
   * Parses {@code [HOSTIP:]HOSTPORT:CONTAINERPORT[/PROTOCOL]}: {@code 8080:80}, {@code
   * 127.0.0.1:8080:80}, {@code [::1]:5353:53/udp}. A range on both sides gives a mapping for each
   * port: {@code 8000-8010:9000-9010}, at most {@link #MAX_PER_ATTACHMENT}.
   *
   * @return in ascending order of ports; TCP without a protocol
   * @throws IllegalArgumentException if the text has another form; the message continues a sentence
   *     that begins with the text
   */
  public static List<PortMapping> parse(String text) {
    requireNonNull(text, "text");
    int slash = text.indexOf('/');
    TransportProtocol protocol = parseProtocol(text, slash);
    String ports = slash < 0 ? text : text.substring(0, slash);
    int lastColon = ports.lastIndexOf(':');
    if (lastColon < 0) {
      throw new IllegalArgumentException(
          "must be HOSTPORT:CONTAINERPORT, such as 8080:80 or 127.0.0.1:5353:53/udp");
    }
    String hostSide = ports.substring(0, lastColon);
    int colon = hostSide.lastIndexOf(':');
    Optional<InetAddress> hostIp =
        colon < 0 ? Optional.empty() : Optional.of(parseHostIp(hostSide.substring(0, colon)));
    PortRange host = PortRange.parse(hostSide.substring(colon + 1));
    PortRange container = PortRange.parse(ports.substring(lastColon + 1));
    if (host.size() != container.size()) {
      throw new IllegalArgumentException(
          "maps %d ports of the host to %d of the container; both must be equally many"
              .formatted(host.size(), container.size()));
    }
    if (host.size() > MAX_PER_ATTACHMENT) {
      throw new IllegalArgumentException(
          "has %d ports; an attachment can publish at most %d"
              .formatted(host.size(), MAX_PER_ATTACHMENT));
    }
    List<PortMapping> mappings = new ArrayList<>(host.size());
    for (int i = 0; i < host.size(); i++) {
      mappings.add(new PortMapping(host.first() + i, container.first() + i, protocol, hostIp));
    }
    return mappings;
  }

  /**
   * Parses the protocol after the slash of a port.
   *
   * @param slash the index of the slash, or -1 for none and TCP
   * @throws IllegalArgumentException if it is unknown; the message continues a sentence that begins
   *     with the text
   */
  static TransportProtocol parseProtocol(String text, int slash) {
    if (slash < 0) {
      return TransportProtocol.TCP;
    }
    String name = text.substring(slash + 1);
    try {
      return TransportProtocol.parse(name);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "has the protocol " + Json.quote(name) + ", which " + e.getMessage(), e);
    }
  }

  private static InetAddress parseHostIp(String text) {
    boolean inBrackets = text.startsWith("[") && text.endsWith("]");
    String address = inBrackets ? text.substring(1, text.length() - 1) : text;
    boolean isV6 = address.indexOf(':') >= 0;
    if (isV6 != inBrackets) {
      throw new IllegalArgumentException(
          isV6
              ? "must have the IPv6 address in brackets: [::1]:8080:80"
              : "must have brackets around IPv6 addresses only");
    }
    try {
      return requireHostAddress(address);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "has the host address " + Json.quote(address) + ", which " + e.getMessage(), e);
    }
  }

  /** Parses an address that connections to the host can have as their destination. */
  private static InetAddress requireHostAddress(String text) {
    InetAddress address = InetAddresses.parse(text);
    if (address.isMulticastAddress() || address.equals(LIMITED_BROADCAST)) {
      throw new IllegalArgumentException(
          "is no address of a host: give one, such as 127.0.0.1, or leave it out for all");
    }
    return address;
  }

  /** Consecutive ports, both ends included. */
  private record PortRange(int first, int last) {
    static PortRange parse(String text) {
      int dash = text.indexOf('-');
      int first = parsePort(dash < 0 ? text : text.substring(0, dash));
      int last = dash < 0 ? first : parsePort(text.substring(dash + 1));
      if (last < first) {
        throw new IllegalArgumentException(
            "has the port range " + text + ", which ends before it begins");
      }
      return new PortRange(first, last);
    }

    int size() {
      return last - first + 1;
    }
  }

  /**
   * Parses the number of a port.
   *
   * @throws IllegalArgumentException if it is not a number from 1 to 65535; the message continues a
   *     sentence that begins with the text in which the number is
   */
  static int parsePort(String text) {
    boolean isNumber = !text.isEmpty() && text.length() <= 5;
    for (int i = 0; i < text.length() && isNumber; i++) {
      isNumber = text.charAt(i) >= '0' && text.charAt(i) <= '9';
    }
    int port = isNumber ? Integer.parseInt(text) : 0;
    if (port < 1 || port > MAX_PORT) {
      throw new IllegalArgumentException(
          "has the port " + Json.quote(text) + ", which is not a number from 1 to " + MAX_PORT);
    }
    return port;
  }

  /**
   * Requires the number of a port.
   *
   * @throws IllegalArgumentException if it is not from 1 to 65535
   */
  static void requirePort(int port) {
    if (port < 1 || port > MAX_PORT) {
      throw new IllegalArgumentException("port " + port + " is not from 1 to " + MAX_PORT);
    }
  }

  /**
   * Reads an entry of {@code portMappings}. Without {@code protocol} it is TCP; keys that
   * CONVENTIONS.md does not have are ignored.
   *
   * @throws CniException code 7 if a value is missing or invalid; the message has all of them
   */
  public static PortMapping read(ConfigObject entry) throws CniException {
    requireNonNull(entry, "entry");
    List<CniException> errors = new ArrayList<>();
    int hostPort = readOr(1, errors, () -> readPort(entry, "hostPort"));
    int containerPort = readOr(1, errors, () -> readPort(entry, "containerPort"));
    Optional<TransportProtocol> protocol =
        readOr(Optional.empty(), errors, () -> entry.parsed("protocol", TransportProtocol::parse));
    Optional<InetAddress> hostIp =
        readOr(
            Optional.empty(),
            errors,
            () -> entry.parsed("hostIP", PortMapping::requireHostAddress));
    if (!errors.isEmpty()) {
      throw ConfigErrors.combined(errors);
    }
    return new PortMapping(hostPort, containerPort, protocol.orElse(TransportProtocol.TCP), hostIp);
  }

  private static <T> T readOr(T substitute, List<CniException> errors, CniCallable<T> reader) {
    try {
      return reader.call();
    } catch (CniException e) {
      errors.add(e);
      return substitute;
    }
  }

  /**
   * Reads the capability argument {@code portMappings} of an attachment for display or diagnosis.
   * Entries that are not valid are left out: ADD refuses them.
   *
   * @param capabilityArgs the arguments by capability, {@link Attachment#capabilityArgs}
   */
  public static List<PortMapping> readValid(Map<String, JsonNode> capabilityArgs) {
    requireNonNull(capabilityArgs, "capabilityArgs");
    @Nullable JsonNode entries = capabilityArgs.get(Capability.PORT_MAPPINGS.key());
    return entries == null
        ? List.of()
        : entries.valueStream().flatMap(it -> readIfValid(it).stream()).toList();
  }

  private static Optional<PortMapping> readIfValid(JsonNode entry) {
    try {
      return entry instanceof ObjectNode object
          ? Optional.of(read(new ConfigObject(object, "")))
          : Optional.empty();
    } catch (CniException e) {
      return Optional.empty();
    }
  }

  private static int readPort(ConfigObject entry, String key) throws CniException {
    return entry
        .integer(key, 1, MAX_PORT)
        .orElseThrow(() -> entry.invalid(key, "is missing: give a port from 1 to " + MAX_PORT));
  }

  /** Returns the entry of {@code portMappings}. */
  public ObjectNode toJson() {
    ObjectNode json = Json.object();
    json.put("hostPort", hostPort);
    json.put("containerPort", containerPort);
    json.put("protocol", protocol.toString());
    hostIp.ifPresent(address -> json.put("hostIP", InetAddresses.format(address)));
    return json;
  }

  /** Returns the text that {@link #parse} takes, with the protocol: {@code 8080:80/tcp}. */
  @Override
  public String toString() {
    return hostIp.map(PortMapping::formatHostIp).orElse("")
        + hostPort
        + ":"
        + containerPort
        + "/"
        + protocol;
  }

  private static String formatHostIp(InetAddress address) {
    String text = InetAddresses.format(address);
    return InetAddresses.isV4(address) ? text + ":" : "[" + text + "]:";
  }
}
