// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Cidr;
import cni.api.Names;
import cni.api.internal.SpecialAddresses;
import java.util.Collection;
import java.util.Map;
import java.util.Optional;

/**
 * What a new network can use of this host. Messages continue a sentence that begins with the value.
 *
 * @param free the subnets that are in use
 * @param linkKinds the kind of each link of the host, by its name; empty for a device
 */
record NewNetworkChecks(FreeSubnets free, Map<String, String> linkKinds) {
  /** With fewer host bits a subnet has no address besides its own and the gateway's. */
  private static final int MIN_HOST_BITS = 2;

  private static final int V4_BITS = 32;
  private static final int V6_BITS = 128;
  private static final String BRIDGE = "bridge";

  /**
   * Parses a subnet for containers.
   *
   * @param chosen the other subnets of the network
   * @throws IllegalArgumentException if it cannot be one
   */
  Cidr subnet(String text, Collection<Cidr> chosen) {
    Cidr subnet = Cidr.parse(text).network();
    int longest = (subnet.isV4() ? V4_BITS : V6_BITS) - MIN_HOST_BITS;
    if (subnet.prefix() > longest) {
      throw new IllegalArgumentException(
          "is too small for a gateway and a container: give a prefix of at most /" + longest);
    }
    Optional<SpecialAddresses.Kind> special =
        SpecialAddresses.unusable(subnet).or(() -> SpecialAddresses.linkLocal(subnet));
    if (special.isPresent()) {
      throw new IllegalArgumentException(
          "overlaps the "
              + special.get()
              + ": give a private subnet, such as 10.1.0.0/24 or fd00:1::/64");
    }
    Optional<Cidr> own = new FreeSubnets(chosen).conflict(subnet);
    if (own.isPresent()) {
      throw new IllegalArgumentException(
          "overlaps " + own.get() + ", which is given before: give each subnet once");
    }
    Optional<Cidr> conflict = free.conflict(subnet);
    if (conflict.isPresent()) {
      throw new IllegalArgumentException(
          "overlaps %s, which this host uses".formatted(conflict.get()));
    }
    return subnet;
  }

  /**
   * Returns the name of a bridge, which may exist.
   *
   * @throws IllegalArgumentException if no bridge can have the name
   */
  String bridge(String name) {
    if (!Names.isInterfaceName(name)) {
      throw new IllegalArgumentException(Names.INTERFACE_NAME_RULES.strip());
    }
    String kind = linkKinds.getOrDefault(name, BRIDGE);
    if (!kind.equals(BRIDGE)) {
      throw new IllegalArgumentException(
          "is an interface of this host that is no bridge%s: choose another name"
              .formatted(kind.isEmpty() ? "" : " but a " + kind));
    }
    return name;
  }
}
