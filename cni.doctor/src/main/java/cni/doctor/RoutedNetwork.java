// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.PluginConfig;
import cni.runtime.Network;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A network whose gateway is the host: by the address of a bridge, or of ptp.
 *
 * @param network the network's name
 * @param bridge the bridge that its containers are behind; empty if there is none
 * @param ranges the ranges of addresses that host-local gives away
 */
record RoutedNetwork(String network, String bridge, List<HostLocalRanges.Range> ranges) {
  /** Copies the list. */
  RoutedNetwork {
    ranges = List.copyOf(ranges);
  }

  /**
   * Returns those of several networks whose gateway is the host.
   *
   * @throws CniException code 7 if a key of a configuration has a value of the wrong type
   */
  static List<RoutedNetwork> among(List<Network> networks) throws CniException {
    List<RoutedNetwork> all = new ArrayList<>();
    for (Network network : networks) {
      Optional<HostLocalRanges> ranges = HostView.ranges(network);
      Optional<PluginConfig> bridge = HostView.plugin(network, "bridge");
      boolean isRouted =
          bridge.isPresent()
              ? BridgeExaminations.isGateway(bridge.get())
              : HostView.plugin(network, "ptp").isPresent();
      if (ranges.isPresent() && isRouted) {
        String name = bridge.isPresent() ? BridgeExaminations.bridgeName(bridge.get()) : "";
        all.add(new RoutedNetwork(network.name(), name, ranges.get().all()));
      }
    }
    return all;
  }

  /** Returns the subnets of the ranges. */
  List<Cidr> subnets() {
    return ranges.stream().map(HostLocalRanges.Range::subnet).distinct().toList();
  }

  static boolean overlap(Cidr one, Cidr other) {
    return one.isV4() == other.isV4()
        && (one.contains(other.network().address()) || other.contains(one.network().address()));
  }
}
