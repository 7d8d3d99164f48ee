// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.AttachmentRequest;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.PluginConfig;
import cni.api.Result;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * The {@code ipam} section of a configuration for dhcp.
 *
 * @param socket the daemon's socket, if the configuration names one
 * @param families the protocols, in the order in which the result lists their addresses
 * @param priority the metric of the routes; 0 for the kernel's default
 */
record DhcpConfig(Optional<Path> socket, List<DhcpFamily> families, long priority) {
  /** The default socket of the daemons of this project and the reference. */
  static final Path DEFAULT_SOCKET = Path.of("/run/cni/dhcp.sock");

  /**
   * Parses a configuration.
   *
   * @throws CniException code 7 if it is invalid
   */
  static DhcpConfig parse(PluginConfig config) throws CniException {
    ConfigObject ipam = config.requireIpam("dhcp");
    List<DhcpFamily> families = ipam.parsedList("families", DhcpFamily::parse);
    return new DhcpConfig(
        socket(config),
        families.isEmpty() ? List.of(DhcpFamily.IPV4) : families.stream().distinct().toList(),
        ipam.longInteger("priority", 0, 0xffff_ffffL).orElse(0));
  }

  /**
   * Returns the daemon's socket, if the configuration names one.
   *
   * @throws CniException code 7 if it is not a path
   */
  static Optional<Path> socket(PluginConfig config) throws CniException {
    return config.requireIpam("dhcp").parsed("daemonSocketPath", Path::of);
  }

  /**
   * Validates a configuration, without CNI_ARGS.
   *
   * @throws CniException code 7 if it is invalid
   */
  static void validate(PluginConfig config) throws CniException {
    parse(config);
    DhcpClientOptions.parse(config.requireIpam("dhcp"), CniArgs.NONE);
  }

  /**
   * Parses the options of the client.
   *
   * @throws CniException code 7 if they are invalid
   */
  static DhcpClientOptions options(AttachmentRequest request) throws CniException {
    return DhcpClientOptions.parse(
        request.config().requireIpam("dhcp"), request.attachment().args());
  }

  /** Returns a result of leases, whose routes have the default metric, with {@link #priority}. */
  Result withPriority(Result result) {
    return result.withRoutes(
        result.routes().stream()
            .map(
                it ->
                    new Result.Route(
                        it.destination(),
                        it.gateway(),
                        it.mtu(),
                        it.advertisedMss(),
                        priority,
                        OptionalLong.empty(),
                        it.scope()))
            .toList());
  }
}
