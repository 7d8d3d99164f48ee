// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.staticip;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Differences;
import cni.api.Dns;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.api.internal.SpecialAddresses;
import cni.plugins.ipam.AssignedResult;
import cni.plugins.ipam.ConfiguredRoutes;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Function;

/**
 * The {@code static} plugin: returns the addresses that the configuration lists or the caller
 * requests. It keeps no state.
 */
public final class StaticPlugin implements UpdatablePlugin {
  /** Creates the plugin, for {@link java.util.ServiceLoader}. */
  public StaticPlugin() {}

  @Override
  public String type() {
    return "static";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.IPAM);
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    return assign(request.config(), request.attachment().args().toMap());
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    PluginConfig config = request.config();
    List<Cidr> networks =
        assign(config, Map.of()).ips().stream().map(it -> it.address().network()).toList();
    ConfigObject ipam = config.requireIpam("static");
    for (ConfigObject it : ipam.objects("addresses")) {
      Optional<Cidr> address = it.parsed("address", Cidr::parse);
      address
          .flatMap(found -> SpecialAddresses.unusable(Cidr.ofHost(found.address())))
          .ifPresent(
              kind -> it.warn("address", "is one of the " + kind + ": no container can use it"));
    }
    if (!networks.isEmpty() && !config.capabilities().contains("ips")) {
      ConfiguredRoutes.warnOfGateways(ipam, networks);
    }
  }

  private static Result assign(PluginConfig config, Map<String, String> args) throws CniException {
    ConfigObject ipam = config.requireIpam("static");
    List<Result.IpConfig> ips = addresses(config, args);
    List<Result.Route> routes = ConfiguredRoutes.parse(ipam);
    Optional<ConfigObject> dns = ipam.object("dns");
    return new Result(List.of(), ips, routes, dns.isPresent() ? Dns.parse(dns.get()) : Dns.NONE);
  }

  /**
   * Returns the addresses of the first source that has any: the capability {@code ips}, {@code
   * args.cni.ips}, the configuration together with {@code IP} in CNI_ARGS.
   */
  private static List<Result.IpConfig> addresses(PluginConfig config, Map<String, String> args)
      throws CniException {
    for (Optional<ConfigObject> section : List.of(config.runtimeConfig(), config.args())) {
      if (section.isPresent() && !section.get().texts("ips").isEmpty()) {
        return requireRepresentable(
            withoutGateway(section.get().parsedList("ips", Cidr::parse)), config);
      }
    }
    List<Result.IpConfig> ips = new ArrayList<>();
    for (ConfigObject it : config.requireIpam("static").objects("addresses")) {
      Result.IpConfig ip = address(it);
      if (ips.stream().anyMatch(other -> other.address().equals(ip.address()))) {
        throw it.invalid("address", "is given twice: remove one of them");
      }
      ips.add(ip);
    }
    ips.addAll(withoutGateway(parseArgList(args, "IP", Cidr::parse)));
    List<InetAddress> gateways = parseArgList(args, "GATEWAY", InetAddresses::parse);
    return requireRepresentable(ips.stream().map(ip -> withGateway(ip, gateways)).toList(), config);
  }

  private static Result.IpConfig address(ConfigObject entry) throws CniException {
    Cidr address =
        entry
            .parsed("address", Cidr::parse)
            .orElseThrow(
                () ->
                    entry.invalid(
                        "address",
                        "is missing: give an address with prefix length, such as 10.1.0.5/16"));
    Optional<SpecialAddresses.Kind> special =
        SpecialAddresses.refused(Cidr.ofHost(address.address()));
    if (special.isPresent()) {
      throw entry.invalid(
          "address", "is one of the " + special.get() + ", which no interface can have");
    }
    Optional<InetAddress> gateway = entry.parsed("gateway", InetAddresses::parse);
    if (gateway.filter(it -> InetAddresses.isV4(it) != address.isV4()).isPresent()) {
      throw entry.invalid("gateway", "is of another family than the address " + address);
    }
    return new Result.IpConfig(address, gateway, OptionalInt.empty());
  }

  private static List<Result.IpConfig> withoutGateway(List<Cidr> addresses) {
    return addresses.stream()
        .map(it -> new Result.IpConfig(it, Optional.empty(), OptionalInt.empty()))
        .toList();
  }

  /** Sets the last of the gateways that is in the address's network, if there is one. */
  private static Result.IpConfig withGateway(Result.IpConfig ip, List<InetAddress> gateways) {
    return gateways.stream()
        .filter(ip.address()::contains)
        .reduce((earlier, later) -> later)
        .map(ip::withGateway)
        .orElse(ip);
  }

  /** Parses the comma-separated values of a key in CNI_ARGS. */
  private static <T> List<T> parseArgList(
      Map<String, String> args, String key, Function<String, T> parser) throws CniException {
    List<T> values = new ArrayList<>();
    String text = args.getOrDefault(key, "");
    for (String item : text.isEmpty() ? List.<String>of() : List.of(text.split(",", -1))) {
      try {
        values.add(parser.apply(item.strip()));
      } catch (IllegalArgumentException e) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "CNI_ARGS: " + key + "=" + Json.quote(item) + " " + e.getMessage(),
            e);
      }
    }
    return values;
  }

  private static List<Result.IpConfig> requireRepresentable(
      List<Result.IpConfig> ips, PluginConfig config) throws CniException {
    long v4 = ips.stream().filter(ip -> ip.address().isV4()).count();
    if ((v4 > 1 || ips.size() - v4 > 1) && !config.version().atLeast(SpecVersion.V0_3_0)) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "results of version "
              + config.version()
              + " cannot contain more than one address of a family; use cniVersion 0.3.0 or newer");
    }
    return ips;
  }

  @Override
  public Set<String> changeableKeys() {
    return Set.of("ipam.addresses", "ipam.routes", "ipam.dns", "args.cni.ips", "runtimeConfig.ips");
  }

  /**
   * {@inheritDoc}
   *
   * <p>Nothing needs to be changed here, as this plugin keeps no state. Without a change of
   * configuration and arguments, the previous result must have the addresses and gateways that ADD
   * would return now.
   */
  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    Result assigned = add(request.desired());
    if (request.isUnchanged()) {
      requireIn(request.desired().prevResult().orElse(Result.EMPTY), assigned, differences);
    }
    Result before = add(request.current());
    return new AssignedResult(
            address -> before.ips().stream().anyMatch(ip -> ip.address().address().equals(address)),
            before.routes(),
            !before.dns().isEmpty())
        .replacedBy(assigned, request);
  }

  private static void requireIn(Result previous, Result assigned, Differences differences) {
    for (Result.IpConfig ip : assigned.ips()) {
      if (previous.ips().stream().noneMatch(it -> isSame(ip, it))) {
        differences.addUnchangeable(
            "address %s of the configuration is not in prevResult".formatted(describe(ip)));
      }
    }
  }

  private static boolean isSame(Result.IpConfig configured, Result.IpConfig previous) {
    return configured.address().equals(previous.address())
        && (configured.gateway().isEmpty() || configured.gateway().equals(previous.gateway()));
  }

  private static String describe(Result.IpConfig ip) {
    return ip.address()
        + ip.gateway().map(it -> " with gateway " + InetAddresses.format(it)).orElse("");
  }

  @Override
  public void delete(AttachmentRequest request) {}

  @Override
  public void status(NetworkRequest request) throws CniException {
    addresses(request.config(), Map.of());
  }
}
