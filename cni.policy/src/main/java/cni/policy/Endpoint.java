// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.Cidr;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * An attachment as policies see it.
 *
 * @param labels what selectors match
 * @param ports the names of its ports
 * @param addresses its addresses with the prefixes of their networks
 * @param hostInterface the host's end of its veth: a port of the bridge, or a routed interface
 * @param bridge the bridge whose port that is; empty for a routed interface
 */
public record Endpoint(
    Id id,
    Map<String, String> labels,
    Map<String, NamedPort> ports,
    List<Cidr> addresses,
    String hostInterface,
    Optional<String> bridge) {
  /** Copies the collections. */
  public Endpoint {
    labels = Map.copyOf(labels);
    ports = Map.copyOf(ports);
    addresses = List.copyOf(addresses);
  }

  /** Returns the interface by which the host routes its packets. */
  public String device() {
    return bridge.orElse(hostInterface);
  }

  /**
   * What identifies an attachment in CNI.
   *
   * @param network the network's name
   * @param ifname the interface in the container
   */
  public record Id(String network, String containerId, String ifname) {
    // Written by hand: every change looks up all attachments. Containers differ most often.

    @Override
    public boolean equals(@Nullable Object other) {
      return this == other
          || (other instanceof Id id
              && containerId.equals(id.containerId)
              && network.equals(id.network)
              && ifname.equals(id.ifname));
    }

    @Override
    public int hashCode() {
      return 31 * (31 * containerId.hashCode() + network.hashCode()) + ifname.hashCode();
    }
  }

  /** A port with a name. */
  public record NamedPort(Protocol protocol, int port) {}
}
