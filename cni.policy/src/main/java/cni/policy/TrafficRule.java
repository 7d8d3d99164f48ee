// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import java.util.List;

/**
 * Allows connections with any of its peers to any of its ports.
 *
 * @param peers the other sides; empty for any
 * @param ports the destination ports; empty for any packet of any protocol
 */
public record TrafficRule(List<Peer> peers, List<PortMatch> ports) {
  /** Copies the lists. */
  public TrafficRule {
    peers = List.copyOf(peers);
    ports = List.copyOf(ports);
  }
}
