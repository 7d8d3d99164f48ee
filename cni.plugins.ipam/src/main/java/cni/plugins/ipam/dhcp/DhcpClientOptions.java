// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Json;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The DHCP options (RFC 2132) that a configuration makes the client send and request.
 *
 * @param provided values to send, by option number
 * @param requested option numbers to request
 */
record DhcpClientOptions(Map<Integer, byte[]> provided, List<Integer> requested) {
  static final int SUBNET_MASK = 1;
  static final int ROUTERS = 3;
  static final int DNS_SERVERS = 6;
  static final int HOST_NAME = 12;
  static final int DOMAIN_NAME = 15;
  static final int STATIC_ROUTES = 33;
  static final int CLASS_IDENTIFIER = 60;
  static final int CLIENT_IDENTIFIER = 61;
  static final int USER_CLASS = 77;
  static final int DOMAIN_SEARCH = 119;
  static final int CLASSLESS_ROUTES = 121;

  /** Requested by default; 121 must precede 3 (RFC 3442). */
  private static final List<Integer> DEFAULT_REQUEST =
      List.of(SUBNET_MASK, CLASSLESS_ROUTES, ROUTERS, STATIC_ROUTES, DNS_SERVERS, DOMAIN_NAME);

  private static final int MAX_VALUE_BYTES = 255;

  /** The option names that the reference plugin accepts, from dhcp-options(5). */
  private static final Map<String, Integer> NAMES =
      Map.of(
          "dhcp-client-identifier", CLIENT_IDENTIFIER,
          "subnet-mask", SUBNET_MASK,
          "routers", ROUTERS,
          "host-name", HOST_NAME,
          "user-class", USER_CLASS,
          "vendor-class-identifier", CLASS_IDENTIFIER);

  DhcpClientOptions {
    provided = new LinkedHashMap<>(provided);
    requested = List.copyOf(requested);
  }

  /**
   * Parses {@code provide} and {@code request}.
   *
   * @param args CNI_ARGS, which {@code fromArg} refers to
   * @throws CniException code 7 if an option is unknown or a value too long, code 4 if CNI_ARGS is
   *     needed and malformed
   */
  static DhcpClientOptions parse(ConfigObject ipam, CniArgs args) throws CniException {
    Map<Integer, byte[]> provided = new LinkedHashMap<>();
    for (ConfigObject it : ipam.objects("provide")) {
      int option =
          it.parsed("option", DhcpClientOptions::number)
              .orElseThrow(() -> it.invalid("option", "is missing: a number or a name"));
      Optional<String> value = it.nonEmpty("value");
      Optional<String> key = it.nonEmpty("fromArg");
      if (key.isPresent()) {
        Optional<String> argument = args.get(key.get());
        value = argument.isPresent() ? argument : value;
      }
      if (value.isPresent()) {
        byte[] bytes = value.get().getBytes(StandardCharsets.UTF_8);
        if (bytes.length > MAX_VALUE_BYTES) {
          throw it.invalid("value", "has more than 255 bytes, the most that an option can hold");
        }
        provided.put(option, bytes);
      }
    }
    List<Integer> requested = new ArrayList<>();
    boolean skipDefault = false;
    for (ConfigObject it : ipam.objects("request")) {
      skipDefault |= it.bool("skipDefault");
      it.parsed("option", DhcpClientOptions::number).ifPresent(requested::add);
    }
    if (!skipDefault) {
      requested.addAll(DEFAULT_REQUEST);
    }
    return new DhcpClientOptions(provided, requested.stream().distinct().toList());
  }

  private static int number(String text) {
    Integer named = NAMES.get(text);
    if (named != null) {
      return named;
    }
    int number = text.matches("\\d{1,3}") ? Integer.parseInt(text) : 0;
    if (number < 1 || number > 254) {
      throw new IllegalArgumentException(
          "is neither a number from 1 to 254 nor one of "
              + NAMES.keySet().stream().sorted().toList());
    }
    return number;
  }

  ObjectNode toJson() {
    ObjectNode json = Json.object();
    ObjectNode values = json.putObject("provided");
    provided.forEach((option, value) -> values.put("" + option, HexFormat.of().formatHex(value)));
    var list = json.putArray("requested");
    requested.forEach(list::add);
    return json;
  }

  /**
   * Parses what {@link #toJson} wrote.
   *
   * @throws CniException code 7 if a value is invalid
   */
  static DhcpClientOptions read(ConfigObject json) throws CniException {
    Map<Integer, byte[]> provided = new LinkedHashMap<>();
    Optional<ConfigObject> values = json.object("provided");
    if (values.isPresent()) {
      for (String option : values.get().keys()) {
        int number = requireNumber(option, json);
        values
            .get()
            .parsed(option, HexFormat.of()::parseHex)
            .ifPresent(value -> provided.put(number, value));
      }
    }
    List<Integer> requested = new ArrayList<>();
    for (JsonNode it : json.json().path("requested")) {
      requested.add(requireNumber(it.asString(""), json));
    }
    return new DhcpClientOptions(provided, requested);
  }

  private static int requireNumber(String option, ConfigObject json) throws CniException {
    try {
      return number(option);
    } catch (IllegalArgumentException e) {
      throw json.invalid("options", "has " + Json.quote(option) + ", which " + e.getMessage());
    }
  }
}
