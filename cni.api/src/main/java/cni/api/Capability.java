// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import cni.api.internal.NearestName;
import java.util.List;
import java.util.Optional;

/**
 * The well-known capabilities: those of CONVENTIONS.md ("Dynamic Plugin specific fields") and those
 * that this project's policy plugin adds. A network takes any capability that a plugin of its chain
 * declares, also one that is not here.
 *
 * @see CapabilityArgs
 */
public enum Capability {
  /** Ports of the host that lead to the container; {@link PortMapping}. */
  PORT_MAPPINGS(
      "portMappings",
      "[{\"hostPort\": 8080, \"containerPort\": 80, \"protocol\": \"tcp\"}]",
      true,
      "portmap"),

  /** Limits of what the container receives and sends; {@link BandwidthLimit}. */
  BANDWIDTH(
      "bandwidth",
      "{\"ingressRate\": 10000000, \"ingressBurst\": 1000000,"
          + " \"egressRate\": 10000000, \"egressBurst\": 1000000}",
      false,
      "bandwidth"),

  /** Addresses of the container; an IPAM plugin assigns them. */
  IPS("ips", "[\"10.1.0.5/16\"]", true, "host-local", "etcd", "static"),

  /** Ranges that the container's addresses are allocated from; {@link IpRange}. */
  IP_RANGES("ipRanges", "[[{\"subnet\": \"10.1.0.0/16\"}]]", false, "host-local", "etcd"),

  /** The hardware address of the container's interface. */
  MAC("mac", "\"02:00:00:00:00:05\"", true, "bridge", "macvlan", "tap", "tuning"),

  /** Name servers and search domains of the container. */
  DNS("dns", "{\"servers\": [\"10.1.0.1\"], \"searches\": [\"example.com\"]}", false),

  /** Names under which the container can be found on the network. */
  ALIASES("aliases", "[\"web\", \"primary\"]", false, "dnsname"),

  /** The device that becomes the container's interface, by its address on the bus. */
  DEVICE_ID("deviceID", "\"0000:00:1f.6\"", true, "host-device"),

  /** The GUID of the container's InfiniBand interface. */
  INFINIBAND_GUID("infinibandGUID", "\"02:00:00:00:00:00:00:05\"", true),

  /** The path of the container's control group. */
  CGROUP_PATH("cgroupPath", "\"/kubelet.slice/pod1\"", false),

  /** Labels of the container, which policies select it by; not in CONVENTIONS.md. */
  LABELS("labels", "{\"app\": \"web\"}", false, "policy"),

  /** Names of the container's ports, for policies; not in CONVENTIONS.md. */
  NAMED_PORTS("namedPorts", "{\"http\": \"8080/tcp\"}", false, "policy");

  private static final List<Capability> ALL = List.of(values());

  private final String key;
  private final String example;
  private final boolean exclusive;

  @SuppressWarnings("ImmutableEnumChecker") // made by List.of
  private final List<String> plugins;

  Capability(String key, String example, boolean exclusive, String... plugins) {
    this.key = key;
    this.example = example;
    this.exclusive = exclusive;
    this.plugins = List.of(plugins);
  }

  /** Returns the capability with a key; empty if it is not a well-known one. */
  public static Optional<Capability> of(String key) {
    requireNonNull(key, "key");
    return ALL.stream().filter(it -> it.key.equals(key)).findFirst();
  }

  /** Returns the capability that a misspelt key probably means; empty if none is near. */
  public static Optional<Capability> nearest(String key) {
    requireNonNull(key, "key");
    return NearestName.of(key, ALL.stream().map(Capability::key).toList()).flatMap(Capability::of);
  }

  /** Returns the key: in {@code capabilities} of a configuration, and of the argument. */
  public String key() {
    return key;
  }

  /** Returns an example of the argument, as JSON. */
  public String example() {
    return example;
  }

  /**
   * Returns whether the argument names something that one interface only can have: a port of the
   * host, an address, a device. A container that is attached to several networks at once gets it
   * from the first of them that declares the capability.
   */
  public boolean isExclusive() {
    return exclusive;
  }

  /**
   * Returns the types of plugins that are known to read the argument. That of an IPAM plugin is
   * declared by the plugin that delegates to it.
   */
  public List<String> plugins() {
    return plugins;
  }
}
