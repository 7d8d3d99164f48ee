// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.tuning;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Json;
import cni.api.PluginConfig;
import cni.plugins.support.RequestedMac;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The configuration of the tuning plugin; keys as for the reference plugin.
 *
 * @param dataDir the directory for the settings that interfaces had before
 * @param sysctl values of sysctls of the container by key; {@code IFNAME} in a key is replaced by
 *     the interface's name
 * @param mac the interface's hardware address, lower case with colons; absent to leave it
 * @param mtu in bytes; 0 to leave it
 * @param promiscuous whether to enable promiscuous mode; false to leave it ({@code promisc})
 * @param allMulticast whether to enable or disable all-multicast mode; absent to leave it ({@code
 *     allmulti})
 * @param txQueueLength in packets; absent to leave it ({@code txQLen})
 */
record TuningConfig(
    String dataDir,
    Map<String, String> sysctl,
    Optional<String> mac,
    int mtu,
    boolean promiscuous,
    Optional<Boolean> allMulticast,
    OptionalInt txQueueLength) {
  private static final String DEFAULT_DATA_DIR = "/run/cni/tuning";

  /**
   * Reads a configuration. {@code args.cni} takes precedence over {@code runtimeConfig}, that over
   * CNI_ARGS, and that over the plugin's own keys, as for the reference plugin.
   *
   * @param args CNI_ARGS
   * @throws CniException code 7 if a value is invalid, code 4 if one of CNI_ARGS is
   */
  static TuningConfig parse(PluginConfig config, Map<String, String> args) throws CniException {
    ConfigObject view = config.view();
    ConfigObject overrides = config.args().orElse(new ConfigObject(Json.object(), ""));
    Map<String, String> sysctl = new LinkedHashMap<>(strings(view, "sysctl"));
    sysctl.putAll(strings(overrides, "sysctl"));
    List<ConfigObject> sections = List.of(overrides, view);
    return new TuningConfig(
        dataDir(config),
        sysctl,
        mac(config, args),
        integer(sections, "mtu", Integer.MAX_VALUE).orElse(0),
        bool(sections, "promisc").orElse(false),
        bool(sections, "allmulti"),
        integer(sections, "txQLen", Integer.MAX_VALUE));
  }

  /**
   * Validates a configuration, without CNI_ARGS.
   *
   * @throws CniException code 7 if a value is invalid, or a sysctl does not belong to a network
   *     namespace
   */
  static void validate(PluginConfig config) throws CniException {
    ConfigObject view = config.view();
    for (String key : List.of("mac", "mtu", "promisc", "allmulti", "txQLen")) {
      view.has(key); // parse reads it only if args.cni does not have it
    }
    Optional<ConfigObject> sysctl = view.object("sysctl");
    for (String key : sysctl.isPresent() ? sysctl.get().keys() : List.<String>of()) {
      if (!isNamespaced(key.replace('.', '/'))) {
        throw sysctl
            .get()
            .invalid(
                key, "does not belong to a network namespace: its key must start with \"net.\"");
      }
    }
    parse(config, Map.of());
  }

  /** Returns whether a sysctl, as a path below /proc/sys, belongs to a network namespace. */
  static boolean isNamespaced(String path) {
    boolean hasBadStep =
        List.of(path.split("/", -1)).stream().anyMatch(it -> it.equals("..") || it.isEmpty());
    return path.startsWith("net/") && !hasBadStep && path.indexOf('\0') < 0;
  }

  /**
   * Returns the directory for the settings that interfaces had before.
   *
   * @throws CniException code 7 if {@code dataDir} is not a string
   */
  static String dataDir(PluginConfig config) throws CniException {
    return config.view().text("dataDir").filter(it -> !it.isEmpty()).orElse(DEFAULT_DATA_DIR);
  }

  /** Whether a setting of the interface is to be changed. */
  boolean changesLink() {
    return mac.isPresent()
        || mtu != 0
        || promiscuous
        || allMulticast.isPresent()
        || txQueueLength.isPresent();
  }

  private static Map<String, String> strings(ConfigObject config, String key) throws CniException {
    Map<String, String> strings = new LinkedHashMap<>();
    Optional<ConfigObject> object = config.object(key);
    if (object.isPresent()) {
      for (String name : object.get().keys()) {
        strings.put(name, object.get().text(name).orElseThrow());
      }
    }
    return strings;
  }

  private static OptionalInt integer(List<ConfigObject> sections, String key, int max)
      throws CniException {
    for (ConfigObject section : sections) {
      OptionalInt value = section.integer(key, 0, max);
      if (value.isPresent()) {
        return value;
      }
    }
    return OptionalInt.empty();
  }

  private static Optional<Boolean> bool(List<ConfigObject> sections, String key)
      throws CniException {
    for (ConfigObject section : sections) {
      if (section.has(key)) {
        return Optional.of(section.bool(key));
      }
    }
    return Optional.empty();
  }

  private static Optional<String> mac(PluginConfig config, Map<String, String> args)
      throws CniException {
    Optional<String> requested =
        RequestedMac.of(List.of(config.args(), config.runtimeConfig()), args);
    return requested.isPresent() ? requested : RequestedMac.parse(config.view());
  }
}
