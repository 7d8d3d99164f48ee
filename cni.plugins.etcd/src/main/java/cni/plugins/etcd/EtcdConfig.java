// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Dns;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.plugins.ipam.ConfiguredRoutes;
import cni.plugins.ipam.ResolvConf;
import cni.plugins.ipam.range.RangeSet;
import cni.plugins.ipam.range.RangeSets;
import cni.plugins.ipam.range.RequestedAddresses;
import java.net.InetAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The configuration of the plugin.
 *
 * @param store where the addresses are kept
 * @param ranges the range sets; one address is allocated from each
 * @param exclusions addresses that are never assigned
 * @param blockSizes the sizes of the blocks
 * @param sticky whether addresses are kept for the name of a container after its DEL
 * @param routes the routes that the result reports
 * @param dns the resolver settings that the result reports; read from {@code resolvConf} only when
 *     they are needed
 */
record EtcdConfig(
    StoreConfig store,
    RangeSets ranges,
    AddressExclusions exclusions,
    BlockSizes blockSizes,
    boolean sticky,
    List<Result.Route> routes,
    ResolverSettings dns) {
  /** Copies the list. */
  EtcdConfig {
    routes = List.copyOf(routes);
  }

  /**
   * The resolver settings: {@code dns}, or {@code resolvConf}.
   *
   * @param listed the settings of {@code dns}
   * @param file the file of {@code resolvConf}
   */
  record ResolverSettings(Optional<Dns> listed, Optional<Path> file) {
    boolean isPresent() {
      return listed.isPresent() || file.isPresent();
    }

    /**
     * Returns the settings.
     *
     * @throws CniException code 5 if the file cannot be read
     */
    Dns read() throws CniException {
      return file.isPresent() ? ResolvConf.read(file.get()) : listed.orElse(Dns.NONE);
    }
  }

  /**
   * Parses a configuration.
   *
   * @throws CniException code 7 if it is invalid
   */
  static EtcdConfig parse(PluginConfig config) throws CniException {
    ConfigObject ipam = config.requireIpam(StoreConfig.TYPE);
    RangeSets ranges = RangeSets.parse(config, ipam);
    AddressExclusions exclusions = AddressExclusions.parse(config, ipam);
    var parsed =
        new EtcdConfig(
            StoreConfig.parse(config),
            ranges,
            exclusions,
            BlockSizes.parse(ipam),
            ipam.bool("sticky"),
            ConfiguredRoutes.parse(ipam),
            parseDns(ipam));
    for (RangeSet set : ranges.sets()) {
      if (parsed.layout(set).capacity().signum() <= 0) {
        throw ipam.invalid("exclude", "leaves no address of " + set + ": exclude fewer");
      }
    }
    return parsed;
  }

  private static ResolverSettings parseDns(ConfigObject ipam) throws CniException {
    Optional<ConfigObject> dns = ipam.object("dns");
    Optional<Path> file = ipam.parsed("resolvConf", Path::of);
    if (dns.isPresent() && file.isPresent()) {
      throw ipam.invalid("resolvConf", "and ipam.dns exclude each other: keep one");
    }
    return new ResolverSettings(
        dns.isPresent() ? Optional.of(Dns.parse(dns.get())) : Optional.empty(), file);
  }

  /**
   * Validates a configuration, without CNI_ARGS.
   *
   * @throws CniException code 7 if it is invalid
   */
  static void validate(PluginConfig config) throws CniException {
    ConfigObject ipam = config.requireIpam(StoreConfig.TYPE);
    RequestedAddresses.of(config, Map.of());
    EtcdConfig parsed = parse(config);
    RangeSets.validate(config, ipam);
    if (ipam.has("password")) {
      ipam.warn(
          "passwordFile", // a warning about "password" would show its value
          "is safer than ipam.password, which every reader of this file can read");
    }
    if (ipam.has("tls")
        && parsed.store().etcd().endpoints().stream()
            .noneMatch(it -> "https".equals(it.getScheme()))) {
      ipam.warn("tls", "has no effect: no endpoint is an https URL");
    }
  }

  /** Returns the blocks of a range set. */
  BlockLayout layout(RangeSet set) {
    return new BlockLayout(set, blockSizes.of(set.isV4()), exclusions);
  }

  /**
   * Requires that an address may be assigned.
   *
   * @throws CniException code 7 if it is a gateway or excluded
   */
  void requireAssignable(InetAddress address, RangeSet set) throws CniException {
    RequestedAddresses.requireNotGateway(address, set);
    if (exclusions.contains(address)) {
      throw RequestedAddresses.refused(address, "is excluded (ipam.exclude)");
    }
  }

  /**
   * Returns the name that an attachment's addresses are kept for: of the pod, as Kubernetes'
   * runtimes and Podman pass it in CNI_ARGS, otherwise the container id; with the interface.
   *
   * @return absent without {@code sticky}
   * @throws CniException code 4 if CNI_ARGS are malformed
   */
  Optional<String> nameOf(Attachment attachment) throws CniException {
    if (!sticky) {
      return Optional.empty();
    }
    Map<String, String> args = attachment.args().toMap();
    String pod = args.getOrDefault("K8S_POD_NAME", "");
    String namespace = args.getOrDefault("K8S_POD_NAMESPACE", "");
    String container = pod.isEmpty() ? attachment.containerId() : pod;
    String qualified =
        pod.isEmpty() || namespace.isEmpty() ? container : namespace + "/" + container;
    return Optional.of(qualified + "/" + attachment.id().interfaceName());
  }

  /** Returns the addresses as a result reports them, in the order of the range sets. */
  List<Result.IpConfig> ipConfigs(Collection<InetAddress> addresses) {
    Map<RangeSet, InetAddress> bySet = ranges.firstBySet(addresses);
    List<Result.IpConfig> ips = new ArrayList<>();
    for (RangeSet set : ranges.sets()) {
      InetAddress address = bySet.get(set);
      if (address != null) {
        ips.add(set.toIpConfig(address));
      }
    }
    return ips;
  }
}
