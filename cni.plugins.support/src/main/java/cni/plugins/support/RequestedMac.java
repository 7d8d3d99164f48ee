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

/** The hardware address that is asked for by those who may (CONVENTIONS: {@code mac}). */
public final class RequestedMac {
  private RequestedMac() {}

  /**
   * That of an attachment: what the runtime wants counts most, then {@code args.cni}, then
   * CNI_ARGS, then the plugin's configuration.
   *
   * @return lower case, with colons
   * @throws CniException code 7 or 4 if one of them is something else
   */
  public static Optional<String> of(AttachmentRequest request) throws CniException {
    PluginConfig config = request.config();
    List<Optional<ConfigObject>> wishes = List.of(config.runtimeConfig(), config.args());
    Optional<String> wish = of(wishes, request.attachment().args());
    return wish.isPresent() ? wish : parse(config.view());
  }

  /**
   * The first that is there: in the key {@code mac} of the sections, then as MAC in CNI_ARGS.
   *
   * @param sections such as {@code runtimeConfig} and {@code args.cni}, most important first
   * @param args CNI_ARGS
   * @return lower case, with colons
   * @throws CniException code 7 if a section has something else, code 4 if CNI_ARGS has
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
   * That of the key {@code mac}.
   *
   * @throws CniException code 7 if it is something else
   */
  public static Optional<String> parse(ConfigObject section) throws CniException {
    return section.parsed("mac", RequestedMac::normalize);
  }

  private static String normalize(String text) {
    return Mac.format(Mac.parse(text));
  }
}
