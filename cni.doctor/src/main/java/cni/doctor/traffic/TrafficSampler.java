// SPDX-License-Identifier: Apache-2.0
package cni.doctor.traffic;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.NetworkConfig;
import cni.api.PortMapping;
import cni.api.Result;
import cni.api.internal.IoErrors;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.LinkStatistics;
import cni.netlink.ffm.route.RouteSocket;
import cni.runtime.AttachmentPresence;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Reads the counters of attachments: those of the container's interface, for which it opens a
 * socket in each container's namespace, and those of the limits on the host. A sample visits each
 * namespace once, and keeps none open. Not safe for use by several threads.
 */
public final class TrafficSampler {
  private static final String IFB = "ifb";
  private static final String VETH = "veth";

  /** Configurations are rarely changed, and each invalid one is logged when it is read. */
  private static final Duration CONFIG_LIFETIME = Duration.ofMinutes(1);

  private final Cni cni;
  private final Optional<Path> hostNamespace;
  private final Predicate<String> networks;

  private Map<String, NetworkConfig> configs = Map.of();
  private long configsRead = System.nanoTime() - 2 * CONFIG_LIFETIME.toNanos();

  /**
   * Creates a sampler.
   *
   * @param cni has the cache and the configurations; it has to stay open
   * @param hostNamespace the namespace of the host's side; that of this process if absent
   * @param networks selects networks by name
   */
  public TrafficSampler(Cni cni, Optional<Path> hostNamespace, Predicate<String> networks) {
    this.cni = cni;
    this.hostNamespace = hostNamespace;
    this.networks = networks;
  }

  /**
   * Reads the counters now.
   *
   * @throws CniException code 5 if the cache cannot be read, code 999 if the kernel refuses to list
   *     the host's interfaces
   */
  public TrafficSample sample() throws CniException {
    List<CachedAttachment> cached = new ArrayList<>(cni.attachments());
    cached.removeIf(it -> !networks.test(it.network()));
    HostLimits limits = readLimits();
    Map<AttachmentTraffic.Key, DhcpLease> leases = DhcpLease.readAll(cni.cacheDirectory());
    Instant time = Instant.now();
    long nanos = System.nanoTime();
    List<AttachmentTraffic> attachments = new ArrayList<>(cached.size());
    for (CachedAttachment it : cached) {
      attachments.add(read(it, limits, leases));
    }
    return new TrafficSample(time, nanos, attachments, pools(cached, nanos));
  }

  private HostLimits readLimits() throws CniException {
    try {
      return HostLimits.read(hostNamespace);
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.INTERNAL, "the host's interfaces cannot be listed: " + IoErrors.describe(e), e);
    }
  }

  private AttachmentTraffic read(
      CachedAttachment cached, HostLimits limits, Map<AttachmentTraffic.Key, DhcpLease> leases) {
    Attachment attachment = cached.attachment();
    Measured measured = measure(cached);
    Result result = result(cached);
    Optional<Shaping> ingress = Optional.empty();
    Optional<Shaping> egress = Optional.empty();
    for (Result.Interface it : result.interfaces()) {
      if (it.isOnHost()) { // the veth sends what the container receives; the IFB what it has sent
        ingress = ingress.or(() -> limits.of(it.name(), VETH));
        egress = egress.or(() -> limits.of(it.name(), IFB));
      }
    }
    return new AttachmentTraffic(
        cached,
        measured.presence(),
        cni.storedAt(cached),
        measured.statistics(),
        ingress,
        egress,
        result.ips().stream().map(it -> it.address().toString()).toList(),
        Optional.ofNullable(
            leases.get(new AttachmentTraffic.Key(cached.network(), attachment.id()))),
        PortMapping.readValid(attachment.capabilityArgs()));
  }

  private static Result result(CachedAttachment cached) {
    try {
      return cached.result();
    } catch (CniException e) {
      return Result.EMPTY; // another program's, unreadable; the counters are still known
    }
  }

  /** What the visit of a namespace shows. */
  private record Measured(AttachmentPresence presence, Optional<LinkStatistics> statistics) {
    Measured(AttachmentPresence presence) {
      this(presence, Optional.empty());
    }
  }

  private static Measured measure(CachedAttachment cached) {
    Attachment attachment = cached.attachment();
    if (attachment.namespace().isEmpty()) {
      return new Measured(AttachmentPresence.UNKNOWN);
    }
    try {
      Optional<NetNs> namespace = NetNs.openIfPresent(attachment.namespace().get());
      return namespace.isEmpty()
          ? new Measured(AttachmentPresence.NAMESPACE_GONE)
          : measureIn(namespace.get(), cached.interfaceName());
    } catch (IOException e) {
      return new Measured(AttachmentPresence.UNKNOWN);
    }
  }

  private static Measured measureIn(NetNs opened, String interfaceName) throws IOException {
    try (NetNs namespace = opened;
        RouteSocket socket = RouteSocket.open(namespace)) {
      Optional<LinkStatistics> found = LinkStatistics.of(socket, interfaceName);
      return found.isEmpty()
          ? new Measured(AttachmentPresence.INTERFACE_GONE)
          : new Measured(AttachmentPresence.PRESENT, found);
    }
  }

  /** Returns the pools of the configured networks, and of others that have attachments. */
  private List<AddressPool> pools(List<CachedAttachment> cached, long nanos) {
    if (nanos - configsRead > CONFIG_LIFETIME.toNanos()) {
      configs = readConfigs();
      configsRead = nanos;
    }
    Map<String, NetworkConfig> all = new LinkedHashMap<>(configs);
    for (CachedAttachment it : cached) {
      if (!all.containsKey(it.network())) {
        addConfig(it, all);
      }
    }
    List<AddressPool> pools = new ArrayList<>();
    all.forEach(
        (name, config) -> {
          if (networks.test(name)) {
            pools.addAll(AddressPool.of(config));
          }
        });
    return pools;
  }

  private Map<String, NetworkConfig> readConfigs() {
    Map<String, NetworkConfig> read = new LinkedHashMap<>();
    try {
      for (Network network : cni.networks()) {
        read.putIfAbsent(network.config().name(), network.config());
      }
    } catch (CniException e) {
      return read; // there is no directory of configurations: the attachments have theirs
    }
    return read;
  }

  private static void addConfig(CachedAttachment cached, Map<String, NetworkConfig> configs) {
    try {
      configs.put(cached.network(), cached.config());
    } catch (CniException e) {
      // It was not stored, by a libcni before 0.7: its pool is not known.
    }
  }
}
