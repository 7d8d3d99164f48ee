// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.CniException;
import cni.runtime.Network;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Two networks that give away the same addresses, or that the host would route the same ones to.
 *
 * @param network the name of the first network
 * @param other the name of the second one
 * @param isSameBridge whether both use one bridge
 * @param evidence the subnets, or the ranges of networks of one bridge, that overlap
 */
public record SubnetOverlap(String network, String other, boolean isSameBridge, String evidence) {
  /**
   * Returns the overlaps among networks, one for each pair.
   *
   * @throws CniException code 7 if a key of a configuration has a value of the wrong type
   */
  public static List<SubnetOverlap> among(List<Network> networks) throws CniException {
    List<RoutedNetwork> all = RoutedNetwork.among(networks);
    List<SubnetOverlap> overlaps = new ArrayList<>();
    for (int i = 0; i < all.size(); i++) {
      for (RoutedNetwork other : all.subList(i + 1, all.size())) {
        of(all.get(i), other).ifPresent(overlaps::add);
      }
    }
    return overlaps;
  }

  /** Returns whether this is the overlap of two networks, in either order. */
  boolean isOf(String first, String second) {
    return (network.equals(first) && other.equals(second))
        || (network.equals(second) && other.equals(first));
  }

  /** Networks of the same bridge may share a subnet, if each gives away a part of its own. */
  private static Optional<SubnetOverlap> of(RoutedNetwork one, RoutedNetwork other) {
    boolean sameBridge = !one.bridge().isEmpty() && one.bridge().equals(other.bridge());
    for (HostLocalRanges.Range range : one.ranges()) {
      for (HostLocalRanges.Range otherRange : other.ranges()) {
        boolean overlap =
            sameBridge
                ? range.overlaps(otherRange)
                : RoutedNetwork.overlap(range.subnet(), otherRange.subnet());
        if (overlap) {
          String evidence =
              "%s of %s and %s of %s overlap"
                  .formatted(
                      sameBridge ? range.text() : range.subnet(),
                      one.network(),
                      sameBridge ? otherRange.text() : otherRange.subnet(),
                      other.network());
          return Optional.of(
              new SubnetOverlap(one.network(), other.network(), sameBridge, evidence));
        }
      }
    }
    return Optional.empty();
  }
}
