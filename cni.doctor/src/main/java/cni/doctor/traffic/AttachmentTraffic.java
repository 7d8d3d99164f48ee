// SPDX-License-Identifier: Apache-2.0
package cni.doctor.traffic;

import cni.api.AttachmentId;
import cni.api.PortMapping;
import cni.doctor.NamespaceName;
import cni.netlink.ffm.route.LinkStatistics;
import cni.runtime.AttachmentPresence;
import cni.runtime.CachedAttachment;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * The counters of one attachment at one moment. Directions are the container's: ingress is what it
 * receives.
 *
 * @param cached the attachment as the cache has it
 * @param presence whether its namespace and its interface exist
 * @param storedAt when ADD, or the last update, stored it; absent if it has been deleted meanwhile
 * @param statistics the counters of the container's interface; absent unless it is present
 * @param ingress the limit of what the container receives; absent if there is none
 * @param egress the limit of what the container sends; absent if there is none
 * @param addresses its addresses with prefix lengths, as the result of ADD has them
 * @param lease its DHCP lease; absent if this host keeps none for it
 * @param ports the ports of the host that lead to the container
 */
public record AttachmentTraffic(
    CachedAttachment cached,
    AttachmentPresence presence,
    Optional<Instant> storedAt,
    Optional<LinkStatistics> statistics,
    Optional<Shaping> ingress,
    Optional<Shaping> egress,
    List<String> addresses,
    Optional<DhcpLease> lease,
    List<PortMapping> ports) {
  /** Copies the lists. */
  public AttachmentTraffic {
    addresses = List.copyOf(addresses);
    ports = List.copyOf(ports);
  }

  /**
   * What identifies an attachment among all of a host.
   *
   * @param network the network's name
   * @param id the container and its interface
   */
  public record Key(String network, AttachmentId id) {}

  /** Returns what identifies the attachment. */
  public Key key() {
    return new Key(cached.network(), cached.attachment().id());
  }

  /** Returns the network's name. */
  public String network() {
    return cached.network();
  }

  /** Returns the container's id. */
  public String containerId() {
    return cached.attachment().containerId();
  }

  /** Returns the name of the container for people: its id, or the name of its namespace. */
  public String containerName() {
    return NamespaceName.ofContainer(cached.attachment());
  }

  /** Returns the name of the interface in the container. */
  public String interfaceName() {
    return cached.attachment().interfaceName();
  }

  /** Returns the packets that the container's interface and its limits have dropped. */
  public long drops() {
    long atInterface =
        statistics.map(it -> it.received().dropped() + it.transmitted().dropped()).orElse(0L);
    return atInterface
        + ingress.map(Shaping::drops).orElse(0L)
        + egress.map(Shaping::drops).orElse(0L);
  }
}
