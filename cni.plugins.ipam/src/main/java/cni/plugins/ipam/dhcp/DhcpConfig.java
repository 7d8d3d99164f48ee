package cni.plugins.ipam.dhcp;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.PluginConfig;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * The {@code ipam} section of a configuration for dhcp.
 *
 * @param socket where a daemon listens, if the configuration names one
 * @param families the protocols, in the order of the result
 * @param priority the metric of the routes, 0 for the kernel's default
 */
record DhcpConfig(Optional<Path> socket, List<DhcpFamily> families, long priority) {
  /** Where the reference daemon listens. */
  static final Path DEFAULT_SOCKET = Path.of("/run/cni/dhcp.sock");

  /**
   * Reads a configuration.
   *
   * @throws CniException code 7 if it makes no sense
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
   * Where a daemon listens, if the configuration names a place.
   *
   * @throws CniException code 7 if it is not a path
   */
  static Optional<Path> socket(PluginConfig config) throws CniException {
    return config.requireIpam("dhcp").parsed("daemonSocketPath", Path::of);
  }

  /**
   * The options of the client.
   *
   * @throws CniException code 7 if they make no sense
   */
  static DhcpClientOptions options(AttachmentRequest request) throws CniException {
    return DhcpClientOptions.parse(
        request.config().requireIpam("dhcp"), request.attachment().args());
  }
}
