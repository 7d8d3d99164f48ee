package cni.plugins.meta.bandwidth;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.PluginConfig;
import cni.netlink.ffm.tc.TokenBucket;
import java.util.List;
import java.util.Optional;

/**
 * The configuration of bandwidth. Directions are the container's: ingress is what it receives.
 *
 * @param ingress how fast it may receive; absent for as fast as can be
 * @param egress how fast it may send; absent for as fast as can be
 * @param subnets of whom it receives and to whom it sends at these rates only ({@code
 *     shapedSubnets}), or at any rate ({@code unshapedSubnets}); empty for no difference
 * @param onlySubnetsShaped whether the subnets are the former
 */
record BandwidthConfig(
    Optional<Rate> ingress, Optional<Rate> egress, List<Cidr> subnets, boolean onlySubnetsShaped) {
  /** More than this in bytes does not fit where the kernel keeps it. */
  private static final long MAX_BURST_BITS = 8 * 0xffff_ffffL - 1;

  private static final List<String> RATE_KEYS =
      List.of("ingressRate", "ingressBurst", "egressRate", "egressBurst");

  /**
   * A rate.
   *
   * @param bitsPerSecond in bits per second
   * @param burstBits how many bits may go at once
   */
  record Rate(long bitsPerSecond, long burstBits) {
    TokenBucket bucket() {
      return TokenBucket.of(bitsPerSecond, burstBits);
    }
  }

  /**
   * Reads a configuration: the plugin's own if it names any rate, otherwise what the runtime wants
   * by the capability {@code bandwidth}.
   *
   * @throws CniException code 7 if a value makes no sense
   */
  static BandwidthConfig parse(PluginConfig config) throws CniException {
    ConfigObject own = config.view();
    Optional<ConfigObject> runtime = config.runtimeConfig();
    Optional<ConfigObject> wanted =
        runtime.isEmpty() ? Optional.empty() : runtime.get().object("bandwidth");
    boolean named = wanted.isEmpty() || RATE_KEYS.stream().anyMatch(own::has);
    return parse(named ? own : wanted.get(), named || hasSubnets(own) ? own : wanted.get());
  }

  private static boolean hasSubnets(ConfigObject view) {
    return view.has("shapedSubnets") || view.has("unshapedSubnets");
  }

  private static BandwidthConfig parse(ConfigObject rates, ConfigObject view) throws CniException {
    List<Cidr> shaped = view.parsedList("shapedSubnets", Cidr::parse);
    List<Cidr> unshaped = view.parsedList("unshapedSubnets", Cidr::parse);
    if (!shaped.isEmpty() && !unshaped.isEmpty()) {
      throw view.invalid("shapedSubnets", "cannot go together with unshapedSubnets; choose one");
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
      throw view.invalid(rateKey, "needs " + burstKey + ": how many bits may go at once");
    }
    if (burst < 8) {
      throw view.invalid(burstKey, "must be at least 8: it is in bits");
    }
    if (rate < 8) {
      throw rate == 0
          ? view.invalid(burstKey, "needs " + rateKey + ": how many bits may go in a second")
          : view.invalid(rateKey, "must be at least 8: it is in bits per second");
    }
    return Optional.of(new Rate(rate, burst));
  }

  /** Whether nothing is to be slowed down. */
  boolean isUnlimited() {
    return ingress.isEmpty() && egress.isEmpty();
  }
}
