// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Dns;
import cni.api.InetAddresses;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.plugins.etcd.client.EtcdOptions;
import cni.plugins.etcd.client.TlsFileException;
import cni.plugins.ipam.ConfiguredRoutes;
import cni.plugins.ipam.ResolvConf;
import cni.plugins.ipam.range.RangeSet;
import cni.plugins.ipam.range.RangeSets;
import cni.plugins.ipam.range.RequestedAddresses;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.node.ObjectNode;

/**
 * The configuration of the plugin.
 *
 * @param store where the addresses are kept
 * @param ranges the range sets; one address is allocated from each
 * @param exclusions addresses that are never assigned
 * @param blockSizes the sizes of the blocks
 * @param layouts the blocks of each range set
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
    Map<RangeSet, BlockLayout> layouts,
    boolean sticky,
    List<Result.Route> routes,
    ResolverSettings dns) {
  /** Copies the collections. */
  EtcdConfig {
    layouts = Map.copyOf(layouts);
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
    List<ConfigObject> sections = AddressExclusions.sections(config, ipam);
    AddressExclusions exclusions = AddressExclusions.parse(sections);
    StoreConfig store = StoreConfig.parse(config);
    BlockSizes blockSizes = BlockSizes.parse(ipam);
    Map<RangeSet, BlockLayout> layouts = new HashMap<>();
    for (RangeSet set : ranges.sets()) {
      var layout = new BlockLayout(set, blockSizes.of(set.isV4()), exclusions);
      if (layout.capacity().signum() == 0) {
        throw mostExcluding(sections, set, blockSizes)
            .invalid(AddressExclusions.KEY, "leaves no address of " + set + ": exclude fewer");
      }
      layouts.put(set, layout);
    }
    return new EtcdConfig(
        store,
        ranges,
        exclusions,
        blockSizes,
        layouts,
        ipam.bool("sticky"),
        ConfiguredRoutes.parse(ipam),
        parseDns(ipam));
  }

  /** Returns the section that excludes most addresses of a set, the first one of several. */
  private static ConfigObject mostExcluding(
      List<ConfigObject> sections, RangeSet set, BlockSizes blockSizes) throws CniException {
    ConfigObject most = sections.getFirst();
    BigInteger fewestLeft = set.size();
    for (ConfigObject it : sections) {
      var exclusions = AddressExclusions.parse(List.of(it));
      BigInteger left = new BlockLayout(set, blockSizes.of(set.isV4()), exclusions).capacity();
      if (left.compareTo(fewestLeft) < 0) {
        most = it;
        fewestLeft = left;
      }
    }
    return most;
  }

  /**
   * Parses an earlier configuration of an attachment with the present access to etcd: the files of
   * the earlier one may not exist any more.
   *
   * @throws CniException code 7 if it is invalid
   */
  static EtcdConfig parseEarlier(PluginConfig earlier, PluginConfig present) throws CniException {
    ObjectNode json = earlier.json().deepCopy();
    ObjectNode ipam = json.withObject("ipam");
    ConfigObject access = present.requireIpam(StoreConfig.TYPE);
    ipam.remove(StoreConfig.ACCESS_KEYS);
    for (String key : StoreConfig.ACCESS_KEYS) {
      if (access.has(key)) {
        ipam.set(key, access.json().get(key));
      }
    }
    return parse(PluginConfig.of(new ConfigObject(json, "")));
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
   * Validates a configuration, without CNI_ARGS, and the files that it names for TLS.
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
    validateEndpoints(ipam, parsed.store().etcd());
    validateTls(ipam, parsed.store().etcd());
    Path directory = parsed.store().directory();
    if (Files.exists(directory, LinkOption.NOFOLLOW_LINKS) && !Files.isDirectory(directory)) {
      throw ipam.invalid("dataDir", "must be a directory, which %s is not".formatted(directory));
    }
  }

  private static void validateEndpoints(ConfigObject ipam, EtcdOptions etcd) {
    Set<URI> distinct = new HashSet<>();
    for (URI it : etcd.endpoints()) {
      if (!distinct.add(it.resolve("/"))) {
        ipam.warn("endpoints", "lists %s twice: name each member once".formatted(it));
      }
    }
  }

  private static void validateTls(ConfigObject ipam, EtcdOptions etcd) throws CniException {
    Optional<ConfigObject> tls = ipam.object("tls");
    if (tls.isEmpty()) {
      return;
    }
    if (!etcd.usesTls()) {
      ipam.warn("tls", "has no effect: no endpoint is an https URL");
      return;
    }
    try {
      etcd.tls().requireUsable();
      etcd.tls()
          .validityProblem(Instant.now())
          .ifPresent(
              it ->
                  tls.get()
                      .warn("cert", it + " (by this host's clock): replace it, or set the clock"));
    } catch (TlsFileException e) {
      throw tls.get().invalid(e.key(), e.getMessage());
    }
  }

  /** Returns the block of an address, whether it is in a range or not. */
  BlockId blockOf(InetAddress address) {
    return BlockId.of(address, blockSizes.of(InetAddresses.isV4(address)));
  }

  /** Returns the blocks of one of the range sets. */
  BlockLayout layout(RangeSet set) {
    return Objects.requireNonNull(layouts.get(set));
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
