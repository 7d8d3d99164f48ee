// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.bandwidth;

import cni.api.BandwidthLimit;
import cni.api.BandwidthLimit.Rate;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.PluginConfig;
import java.util.List;
import java.util.Optional;

/**
 * The configuration of the bandwidth plugin. Directions are the container's: ingress is what it
 * receives.
 *
 * @param ingress the limit of what it receives; absent for no limit
 * @param egress the limit of what it sends; absent for no limit
 * @param subnets the peers to which the limits apply ({@code shapedSubnets}) or do not apply
 *     ({@code unshapedSubnets}); empty if they apply to all
 * @param onlySubnetsShaped whether the limits apply to the subnets, or else to all other peers
 */
record BandwidthConfig(
    Optional<Rate> ingress, Optional<Rate> egress, List<Cidr> subnets, boolean onlySubnetsShaped) {
  private static final List<String> RATE_KEYS =
      List.of("ingressRate", "ingressBurst", "egressRate", "egressBurst");

  /**
   * Reads a configuration. If the plugin's own keys have any rate or burst they are used, otherwise
   * {@code runtimeConfig.bandwidth}; subnets are handled in the same way.
   *
   * @throws CniException code 7 if a value is invalid
   */
  static BandwidthConfig parse(PluginConfig config) throws CniException {
    ConfigObject own = config.view();
    Optional<ConfigObject> runtime = config.runtimeConfig();
    Optional<ConfigObject> requested =
        runtime.isEmpty() ? Optional.empty() : runtime.get().object("bandwidth");
    if (requested.isEmpty() || RATE_KEYS.stream().anyMatch(own::has)) {
      return parse(own, own);
    }
    return parse(requested.get(), hasSubnets(own) ? own : requested.get());
  }

  private static boolean hasSubnets(ConfigObject view) {
    return view.has("shapedSubnets") || view.has("unshapedSubnets");
  }

  private static BandwidthConfig parse(ConfigObject rates, ConfigObject subnets)
      throws CniException {
    List<Cidr> shaped = subnets.parsedList("shapedSubnets", Cidr::parse);
    List<Cidr> unshaped = subnets.parsedList("unshapedSubnets", Cidr::parse);
    if (!shaped.isEmpty() && !unshaped.isEmpty()) {
      throw subnets.invalid("shapedSubnets", "cannot be combined with unshapedSubnets; choose one");
    }
    BandwidthLimit limit = BandwidthLimit.read(rates);
    return new BandwidthConfig(
        limit.ingress(), limit.egress(), shaped.isEmpty() ? unshaped : shaped, !shaped.isEmpty());
  }

  /** Whether neither direction is limited. */
  boolean isUnlimited() {
    return ingress.isEmpty() && egress.isEmpty();
  }
}
