package cni.plugins.meta.bandwidth;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.PluginConfig;
import cni.netlink.ffm.tc.TokenBucket;
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
  /** The largest burst whose number of bytes fits the kernel's 32 bits. */
  private static final long MAX_BURST_BITS = 8 * 0xffff_ffffL - 1;

  private static final List<String> RATE_KEYS =
      List.of("ingressRate", "ingressBurst", "egressRate", "egressBurst");

  /**
   * The limit of a direction.
   *
   * @param bitsPerSecond the average rate, at least 8
   * @param burstBits how many bits may be sent at once, at least 8
   */
  record Rate(long bitsPerSecond, long burstBits) {
    TokenBucket bucket() {
      return TokenBucket.of(bitsPerSecond, burstBits);
    }
  }

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
    return new BandwidthConfig(
        rate(rates, "ingress"),
        rate(rates, "egress"),
        shaped.isEmpty() ? unshaped : shaped,
        !shaped.isEmpty());
  }

  private static Optional<Rate> rate(ConfigObject view, String direction) throws CniException {
    String rateKey = direction + "Rate";
    String burstKey = direction + "Burst";
    long rate = view.longInteger(rateKey, 0, Long.MAX_VALUE).orElse(0);
    long burst = view.longInteger(burstKey, 0, MAX_BURST_BITS).orElse(0);
    if (rate == 0 && burst == 0) {
      return Optional.empty();
    }
    if (burst == 0) {
      throw view.invalid(
          rateKey, "needs " + burstKey + ", the number of bits that may be sent at once");
    }
    if (burst < 8) {
      throw view.invalid(burstKey, "must be at least 8: its unit is bits");
    }
    if (rate < 8) {
      throw rate == 0
          ? view.invalid(burstKey, "needs " + rateKey + ", the number of bits per second")
          : view.invalid(rateKey, "must be at least 8: its unit is bits per second");
    }
    return Optional.of(new Rate(rate, burst));
  }

  /** Whether neither direction is limited. */
  boolean isUnlimited() {
    return ingress.isEmpty() && egress.isEmpty();
  }
}
