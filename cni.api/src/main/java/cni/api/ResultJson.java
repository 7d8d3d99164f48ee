// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Consumer;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads and writes results as JSON in every version of the specification. Versions differ as
 * follows:
 *
 * <ul>
 *   <li>before 0.3.0 there are no interfaces, and one address per family with its routes is in
 *       {@code ip4} and {@code ip6};
 *   <li>from 0.3.0 to 0.4.0 every address has its family in {@code version};
 *   <li>before 1.0.0 interfaces have no {@code mtu}, {@code socketPath} and {@code pciID}.
 * </ul>
 *
 * 1.0.0 and 1.1.0 are written alike, as by the Go library.
 */
public final class ResultJson {
  private static final int NO_INTERFACE = -1;

  private ResultJson() {}

  /**
   * Writes a result.
   *
   * @throws CniException code 1 if the version is before 0.3.0 and there are interfaces but no
   *     address to write
   */
  public static ObjectNode write(Result result, SpecVersion version) throws CniException {
    requireNonNull(result, "result");
    requireNonNull(version, "version");
    ObjectNode json = Json.object();
    json.put("cniVersion", version.toString());
    if (version.atLeast(SpecVersion.V0_3_0)) {
      putAll(json, "interfaces", result.interfaces(), (iface, to) -> write(iface, version, to));
      putAll(json, "ips", result.ips(), (ip, to) -> write(ip, version, to));
      putAll(json, "routes", result.routes(), ResultJson::write);
    } else {
      writeFamily(json, "ip4", result, true);
      writeFamily(json, "ip6", result, false);
      if (!json.has("ip4") && !json.has("ip6") && !result.interfaces().isEmpty()) {
        throw new CniException(
            ErrorCode.INCOMPATIBLE_VERSION,
            "a result with interfaces but no addresses cannot be written in version " + version);
      }
    }
    if (!result.dns().isEmpty()) {
      write(result.dns(), json.putObject("dns"));
    }
    return json;
  }

  private static void write(Result.Interface iface, SpecVersion version, ObjectNode to) {
    to.put("name", iface.name());
    putText(to, "mac", iface.mac());
    if (version.atLeast(SpecVersion.V1_0_0)) {
      putNumber(to, "mtu", iface.mtu());
    }
    putText(to, "sandbox", iface.sandbox());
    if (version.atLeast(SpecVersion.V1_0_0)) {
      putText(to, "socketPath", iface.socketPath());
      putText(to, "pciID", iface.pciId());
    }
  }

  private static void write(Result.IpConfig ip, SpecVersion version, ObjectNode to) {
    if (!version.atLeast(SpecVersion.V1_0_0)) {
      to.put("version", ip.address().isV4() ? "4" : "6");
    }
    ip.interfaceIndex().ifPresent(index -> to.put("interface", index));
    to.put("address", ip.address().toString());
    ip.gateway().ifPresent(gateway -> to.put("gateway", InetAddresses.format(gateway)));
  }

  private static void write(Result.Route route, ObjectNode to) {
    to.put("dst", route.destination().toString());
    route.gateway().ifPresent(gateway -> to.put("gw", InetAddresses.format(gateway)));
    putNumber(to, "mtu", route.mtu());
    putNumber(to, "advmss", route.advertisedMss());
    putNumber(to, "priority", route.priority());
    route.table().ifPresent(table -> to.set("table", number(table)));
    route.scope().ifPresent(scope -> to.put("scope", scope));
  }

  private static void write(Dns dns, ObjectNode to) {
    putTexts(to, "nameservers", dns.nameservers());
    putText(to, "domain", dns.domain());
    putTexts(to, "search", dns.search());
    putTexts(to, "options", dns.options());
  }

  private static void writeFamily(ObjectNode json, String key, Result result, boolean v4) {
    Optional<Result.IpConfig> first =
        result.ips().stream().filter(ip -> ip.address().isV4() == v4).findFirst();
    if (first.isEmpty()) {
      return;
    }
    ObjectNode to = json.putObject(key);
    to.put("ip", first.get().address().toString());
    first.get().gateway().ifPresent(gateway -> to.put("gateway", InetAddresses.format(gateway)));
    List<Result.Route> routes =
        result.routes().stream()
            .filter(route -> route.destination().isV4() == v4)
            .map(route -> new Result.Route(route.destination(), route.gateway()))
            .toList();
    putAll(to, "routes", routes, ResultJson::write);
  }

  /**
   * Reads a result.
   *
   * @param json a result in the version of its {@code cniVersion} key
   * @param defaultVersion the version if that key is missing: that of the configuration
   * @throws CniException code 6 if a value is invalid, code 1 if the version is not known
   */
  public static Result read(ObjectNode json, SpecVersion defaultVersion) throws CniException {
    requireNonNull(json, "json");
    requireNonNull(defaultVersion, "defaultVersion");
    try {
      var top = new ConfigObject(json, "");
      SpecVersion version = top.parsed("cniVersion", SpecVersion::parse).orElse(defaultVersion);
      if (!version.isKnown()) {
        throw new CniException(
            ErrorCode.INCOMPATIBLE_VERSION,
            "the result has version "
                + version
                + "; this library supports "
                + SpecVersion.join(SpecVersion.ALL));
      }
      Dns dns = top.has("dns") ? Dns.parse(top.object("dns").orElseThrow()) : Dns.NONE;
      if (!version.atLeast(SpecVersion.V0_3_0)) {
        return readFamilies(top, dns);
      }
      return new Result(
          readAll(top.objects("interfaces"), ResultJson::readInterface),
          readAll(top.objects("ips"), ResultJson::readIp),
          readAll(top.objects("routes"), Result.Route::parse),
          dns);
    } catch (CniException e) {
      throw e.is(ErrorCode.INVALID_CONFIG)
          ? new CniException(ErrorCode.DECODING_FAILURE, "not a result: " + e.getMessage(), e)
          : e;
    }
  }

  private static Result readFamilies(ConfigObject top, Dns dns) throws CniException {
    List<Result.IpConfig> ips = new ArrayList<>();
    List<Result.Route> routes = new ArrayList<>();
    for (String key : List.of("ip4", "ip6")) {
      if (top.has(key)) {
        ConfigObject family = top.object(key).orElseThrow();
        ips.add(readIp(family, "ip"));
        routes.addAll(readAll(family.objects("routes"), Result.Route::parse));
      }
    }
    return new Result(List.of(), ips, routes, dns);
  }

  private static Result.Interface readInterface(ConfigObject json) throws CniException {
    return new Result.Interface(
        json.text("name").orElse(""),
        json.text("mac").orElse(""),
        json.integer("mtu", 0, Integer.MAX_VALUE).orElse(0),
        json.text("sandbox").orElse(""),
        json.text("socketPath").orElse(""),
        json.text("pciID").orElse(""));
  }

  private static Result.IpConfig readIp(ConfigObject ip) throws CniException {
    return readIp(ip, "address");
  }

  private static Result.IpConfig readIp(ConfigObject ip, String key) throws CniException {
    Cidr address =
        ip.parsed(key, Cidr::parse)
            .orElseThrow(() -> ip.invalid(key, "is missing: give an address with its prefix"));
    return new Result.IpConfig(
        address, ip.parsed("gateway", InetAddresses::parse), interfaceIndex(ip));
  }

  /** Old libraries write -1 for an address without an interface, as the Go plugins accept. */
  private static OptionalInt interfaceIndex(ConfigObject ip) throws CniException {
    OptionalInt index = ip.integer("interface", NO_INTERFACE, Integer.MAX_VALUE);
    return index.equals(OptionalInt.of(NO_INTERFACE)) ? OptionalInt.empty() : index;
  }

  private static <T> List<T> readAll(List<ConfigObject> objects, Decoder<T> reader)
      throws CniException {
    List<T> values = new ArrayList<>(objects.size());
    for (ConfigObject object : objects) {
      values.add(reader.read(object));
    }
    return values;
  }

  private static <T> void putAll(ObjectNode json, String key, List<T> values, Encoder<T> writer) {
    if (!values.isEmpty()) {
      var array = json.putArray(key);
      values.forEach(value -> writer.write(value, array.addObject()));
    }
  }

  private static void putText(ObjectNode json, String key, String value) {
    if (!value.isEmpty()) {
      json.put(key, value);
    }
  }

  private static void putNumber(ObjectNode json, String key, long value) {
    if (value != 0) {
      json.set(key, number(value));
    }
  }

  /** Returns the node that parsing gives: Jackson's int and long nodes are never equal. */
  private static JsonNode number(long value) {
    JsonNodeFactory nodes = JsonNodeFactory.instance;
    return value == (int) value ? nodes.numberNode((int) value) : nodes.numberNode(value);
  }

  private static void putTexts(ObjectNode json, String key, List<String> values) {
    if (!values.isEmpty()) {
      Consumer<String> add = json.putArray(key)::add;
      values.forEach(add);
    }
  }

  /**
   * Reads the result under a key.
   *
   * @param defaultVersion the version if the result names none
   * @return nothing if the key is missing or not an object
   * @throws CniException as {@link #read}
   */
  public static Optional<Result> readFrom(
      ConfigObject config, String key, SpecVersion defaultVersion) throws CniException {
    requireNonNull(config, "config");
    requireNonNull(key, "key");
    requireNonNull(defaultVersion, "defaultVersion");
    JsonNode node = config.json().get(key);
    return node instanceof ObjectNode object
        ? Optional.of(read(object, defaultVersion))
        : Optional.empty();
  }

  private interface Decoder<T> {
    T read(ConfigObject object) throws CniException;
  }

  private interface Encoder<T> {
    void write(T value, ObjectNode to);
  }
}
