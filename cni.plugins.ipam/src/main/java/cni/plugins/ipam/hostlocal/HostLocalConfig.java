// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.plugins.ipam.ConfiguredRoutes;
import cni.plugins.ipam.range.RangeSets;
import cni.plugins.ipam.range.RequestedAddresses;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The configuration of host-local: the {@code ipam} section and {@code runtimeConfig.ipRanges}.
 *
 * @param ranges the range sets; one address is allocated from each
 * @param routes the routes that the result reports
 * @param resolvConf the file that the resolver settings are read from
 */
record HostLocalConfig(RangeSets ranges, List<Result.Route> routes, Optional<String> resolvConf) {
  private static final String DEFAULT_DATA_DIR = "/var/lib/cni/networks";

  HostLocalConfig {
    routes = List.copyOf(routes);
  }

  /**
   * Parses a configuration.
   *
   * @throws CniException code 7 if it is invalid
   */
  static HostLocalConfig parse(PluginConfig config) throws CniException {
    ConfigObject ipam = config.requireIpam("host-local");
    return new HostLocalConfig(
        RangeSets.parse(config, ipam), ConfiguredRoutes.parse(ipam), ipam.nonEmpty("resolvConf"));
  }

  /**
   * Returns the directory that contains a reservation directory per network.
   *
   * @throws CniException code 7 if {@code ipam.dataDir} is not a string
   */
  static String dataDir(PluginConfig config) throws CniException {
    return config.requireIpam("host-local").nonEmpty("dataDir").orElse(DEFAULT_DATA_DIR);
  }

  /**
   * Validates a configuration, without CNI_ARGS.
   *
   * @throws CniException code 7 if it is invalid
   */
  static void validate(PluginConfig config) throws CniException {
    ConfigObject ipam = config.requireIpam("host-local");
    dataDir(config);
    ipam.nonEmpty("resolvConf");
    RequestedAddresses.of(config, Map.of());
    RangeSets.validate(config, ipam);
  }
}
