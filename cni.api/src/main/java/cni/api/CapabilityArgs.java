// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import cni.api.internal.NullChecks;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/**
 * The capability arguments of an attachment: what the runtime asks of the plugins for this one
 * container (SPEC section 3, "Deriving runtimeConfig"). The well-known ones have methods in {@link
 * Builder}, in the form of CONVENTIONS.md; others are set as JSON.
 *
 * <pre>{@code
 * var args =
 *     CapabilityArgs.builder()
 *         .portMapping(PortMapping.tcp(8080, 80))
 *         .bandwidth(BandwidthLimit.parse("in=10M,out=5M"))
 *         .build();
 * network.add(attachment.withCapabilityArgs(args));
 * }</pre>
 *
 * <p>Instances are immutable.
 */
public final class CapabilityArgs {
  /** No arguments. */
  public static final CapabilityArgs NONE = new CapabilityArgs(Map.of());

  private final Map<String, JsonNode> byCapability;

  private CapabilityArgs(Map<String, JsonNode> byCapability) {
    this.byCapability = Collections.unmodifiableMap(new LinkedHashMap<>(byCapability));
  }

  /** Returns arguments given as JSON, by capability. */
  public static CapabilityArgs of(Map<String, JsonNode> byCapability) {
    requireNonNull(byCapability, "byCapability");
    return new CapabilityArgs(byCapability);
  }

  /** Returns a builder without arguments. */
  public static Builder builder() {
    return new Builder();
  }

  /** Returns whether there are no arguments. */
  public boolean isEmpty() {
    return byCapability.isEmpty();
  }

  /** Returns the capabilities that have an argument. */
  public Set<String> names() {
    return byCapability.keySet();
  }

  /** Returns the arguments by capability. */
  public Map<String, JsonNode> toMap() {
    return byCapability;
  }

  /**
   * Returns the arguments of the given capabilities only, such as those that a network declares. A
   * runtime that has the same arguments for several networks passes each what it takes.
   */
  public CapabilityArgs only(Collection<String> capabilities) {
    NullChecks.requireElements(capabilities, "capabilities");
    Map<String, JsonNode> kept = new LinkedHashMap<>(byCapability);
    kept.keySet().retainAll(capabilities);
    return new CapabilityArgs(kept);
  }

  /** Returns these arguments with others; of a capability that both have, the other's is kept. */
  public CapabilityArgs with(CapabilityArgs other) {
    requireNonNull(other, "other");
    Map<String, JsonNode> all = new LinkedHashMap<>(byCapability);
    all.putAll(other.byCapability);
    return new CapabilityArgs(all);
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof CapabilityArgs it && byCapability.equals(it.byCapability);
  }

  @Override
  public int hashCode() {
    return byCapability.hashCode();
  }

  /** Returns the arguments as JSON, for debugging. */
  @Override
  public String toString() {
    ObjectNode json = Json.object(); // JsonNode.toString needs a mapper, and Jackson's annotations
    json.setAll(byCapability);
    return new String(Json.bytes(json), StandardCharsets.UTF_8);
  }

  /**
   * Collects arguments. Methods that name one of several, such as {@link #portMapping}, append to
   * those before; the others replace them. The plugins check what the text of an argument means.
   */
  public static final class Builder {
    private final Map<String, JsonNode> byCapability = new LinkedHashMap<>();

    private Builder() {}

    /** Adds a published port (capability {@code portMappings}). */
    public Builder portMapping(PortMapping mapping) {
      requireNonNull(mapping, "mapping");
      list(Capability.PORT_MAPPINGS).add(mapping.toJson());
      return this;
    }

    /** Adds published ports, such as those that {@link PortMapping#parse} returns. */
    public Builder portMappings(Collection<PortMapping> mappings) {
      NullChecks.requireElements(mappings, "mappings");
      mappings.forEach(this::portMapping);
      return this;
    }

    /** Sets the limits of what the container receives and sends (capability {@code bandwidth}). */
    public Builder bandwidth(BandwidthLimit limit) {
      requireNonNull(limit, "limit");
      return put(Capability.BANDWIDTH.key(), limit.toJson());
    }

    /**
     * Adds an address of the container (capability {@code ips}). host-local ignores the prefix
     * length; static needs it.
     */
    public Builder ip(Cidr address) {
      requireNonNull(address, "address");
      list(Capability.IPS).add(address.toString());
      return this;
    }

    /** Adds an address of the container, without a prefix length. */
    public Builder ip(InetAddress address) {
      requireNonNull(address, "address");
      list(Capability.IPS).add(InetAddresses.format(address));
      return this;
    }

    /**
     * Adds a set of ranges (capability {@code ipRanges}). The container gets an address from each
     * set.
     */
    public Builder ipRangeSet(IpRange... ranges) {
      NullChecks.requireElements(ranges, "ranges");
      ArrayNode set = list(Capability.IP_RANGES).addArray();
      for (IpRange range : ranges) {
        set.add(range.toJson());
      }
      return this;
    }

    /** Sets the hardware address of the container's interface, such as 02:00:00:00:00:05. */
    public Builder mac(String address) {
      requireNonNull(address, "address");
      return put(Capability.MAC.key(), StringNode.valueOf(address));
    }

    /** Adds a name server (capability {@code dns}). */
    public Builder dnsServer(InetAddress server) {
      requireNonNull(server, "server");
      list(object(Capability.DNS), "servers").add(InetAddresses.format(server));
      return this;
    }

    /**
     * Adds a search domain (capability {@code dns}).
     *
     * @throws IllegalArgumentException if it is empty or has white space or control characters,
     *     which end it in a resolver's configuration; the message continues a sentence that begins
     *     with the domain
     */
    public Builder dnsSearch(String domain) {
      requireNonNull(domain, "domain");
      if (domain.isEmpty() || domain.chars().anyMatch(it -> it <= ' ' || it == '\u007f')) {
        throw new IllegalArgumentException("is no domain, such as example.com");
      }
      list(object(Capability.DNS), "searches").add(domain);
      return this;
    }

    /** Adds a name of the container on the network (capability {@code aliases}). */
    public Builder alias(String name) {
      requireNonNull(name, "name");
      list(Capability.ALIASES).add(name);
      return this;
    }

    /** Adds a label (capability {@code labels}); a further value of the same key replaces it. */
    public Builder label(String key, String value) {
      requireNonNull(key, "key");
      requireNonNull(value, "value");
      object(Capability.LABELS).put(key, value);
      return this;
    }

    /**
     * Adds the name of a port of the container (capability {@code namedPorts}).
     *
     * @throws IllegalArgumentException if the port is not from 1 to 65535
     */
    public Builder namedPort(String name, int port, TransportProtocol protocol) {
      requireNonNull(name, "name");
      requireNonNull(protocol, "protocol");
      PortMapping.requirePort(port);
      object(Capability.NAMED_PORTS).put(name, port + "/" + protocol);
      return this;
    }

    /**
     * Adds the name of a port of the container (capability {@code namedPorts}).
     *
     * @param port {@code 8080}, or with a protocol {@code 8080/udp}; TCP without one
     * @throws IllegalArgumentException if it has another form; the message continues a sentence
     *     that begins with the text
     */
    public Builder namedPort(String name, String port) {
      requireNonNull(name, "name");
      requireNonNull(port, "port");
      int slash = port.indexOf('/');
      int number = PortMapping.parsePort(slash < 0 ? port : port.substring(0, slash));
      return namedPort(name, number, PortMapping.parseProtocol(port, slash));
    }

    /** Sets the argument of any capability. */
    public Builder put(String capability, JsonNode argument) {
      requireNonNull(capability, "capability");
      requireNonNull(argument, "argument");
      byCapability.put(capability, argument);
      return this;
    }

    /** Returns the arguments. */
    public CapabilityArgs build() {
      Map<String, JsonNode> copies = new LinkedHashMap<>();
      byCapability.forEach((capability, argument) -> copies.put(capability, argument.deepCopy()));
      return new CapabilityArgs(copies);
    }

    private ArrayNode list(Capability capability) {
      return (ArrayNode)
          byCapability.compute(
              capability.key(),
              (key, old) -> old instanceof ArrayNode ? old : Json.object().arrayNode());
    }

    private ObjectNode object(Capability capability) {
      return (ObjectNode)
          byCapability.compute(
              capability.key(), (key, old) -> old instanceof ObjectNode ? old : Json.object());
    }

    private static ArrayNode list(ObjectNode object, String key) {
      return object.get(key) instanceof ArrayNode list ? list : object.putArray(key);
    }
  }
}
