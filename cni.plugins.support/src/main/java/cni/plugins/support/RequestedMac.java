// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.PluginConfig;
import cni.netlink.ffm.route.Mac;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The hardware address that the runtime, the user or the configuration requests for an interface
 * (CONVENTIONS.md of the CNI specification: {@code mac}).
 */
public final class RequestedMac {
  private RequestedMac() {}

  /**
   * Returns the first that is present of {@code runtimeConfig.mac}, {@code args.cni.mac}, MAC in
   * CNI_ARGS and {@code mac} of the plugin's configuration.
   *
   * @return in lower case with colons; empty if none is present
   * @throws CniException code 7, or 4 for CNI_ARGS, if the value is not a unicast hardware address
   */
  public static Optional<String> of(AttachmentRequest request) throws CniException {
    PluginConfig config = request.config();
    List<Optional<ConfigObject>> sections = List.of(config.runtimeConfig(), config.args());
    Optional<String> requested = of(sections, request.attachment().args().toMap());
    return requested.isPresent() ? requested : parse(config.view());
  }

  /**
   * Validates {@code mac} wherever a configuration may have it.
   *
   * @throws CniException code 7 if a value is not a unicast hardware address
   */
  public static void validate(PluginConfig config) throws CniException {
    for (Optional<ConfigObject> section : List.of(config.runtimeConfig(), config.args())) {
      if (section.isPresent()) {
        parse(section.get());
      }
    }
    parse(config.view());
  }

  /**
   * Returns the first that is present of the key {@code mac} of each section and MAC in CNI_ARGS.
   *
   * @param sections such as {@code runtimeConfig} and {@code args.cni}, in order of precedence
   * @param args CNI_ARGS
   * @return in lower case with colons; empty if none is present
   * @throws CniException code 7, or 4 for CNI_ARGS, if the value is not a unicast hardware address
   */
  public static Optional<String> of(List<Optional<ConfigObject>> sections, Map<String, String> args)
      throws CniException {
    for (Optional<ConfigObject> section : sections) {
      Optional<String> mac = section.isPresent() ? parse(section.get()) : Optional.empty();
      if (mac.isPresent()) {
        return mac;
      }
    }
    String argument = args.getOrDefault("MAC", "");
    try {
      return argument.isEmpty() ? Optional.empty() : Optional.of(normalize(argument));
    } catch (IllegalArgumentException e) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "CNI_ARGS: MAC=" + Json.quote(argument) + " " + e.getMessage(),
          e);
    }
  }

  /**
   * Reads the key {@code mac} of a section.
   *
   * @return in lower case with colons; empty if the key is absent
   * @throws CniException code 7 if the value is not a unicast hardware address
   */
  public static Optional<String> parse(ConfigObject section) throws CniException {
    return section.parsed("mac", RequestedMac::normalize);
  }

  private static String normalize(String text) {
    return Mac.format(Mac.parse(text));
  }
}
