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
 * The configuration of tuning.
 *
 * @param dataDir where the properties that an interface had before are kept
 * @param sysctl kernel parameters of the container, by key; {@code IFNAME} in a key stands for the
 *     interface
 * @param mac the interface's hardware address
 * @param mtu its MTU in bytes, 0 to leave it
 * @param promiscuous whether it takes every packet; false leaves it ({@code promisc})
 * @param allMulticast whether it takes every multicast packet; absent leaves it ({@code allmulti})
 * @param txQueueLength in packets; absent leaves it ({@code txQLen})
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
   * Reads a configuration. What {@code args.cni} says counts most, then the runtime's word, then
   * CNI_ARGS, as for the reference plugin.
   *
   * @param args CNI_ARGS
   * @throws CniException code 7 if a value makes no sense, code 4 if CNI_ARGS does not
   */
  static TuningConfig parse(PluginConfig config, Map<String, String> args) throws CniException {
    ConfigObject view = config.view();
    Optional<ConfigObject> own = config.args();
    ConfigObject first = own.orElse(new ConfigObject(Json.object(), ""));
    Map<String, String> sysctl = new LinkedHashMap<>(strings(view, "sysctl"));
    sysctl.putAll(strings(first, "sysctl"));
    List<ConfigObject> sections = List.of(first, view);
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
   * Where the properties that an interface had before are kept.
   *
   * @throws CniException code 7 if {@code dataDir} is not a string
   */
  static String dataDir(PluginConfig config) throws CniException {
    return config.view().text("dataDir").filter(it -> !it.isEmpty()).orElse(DEFAULT_DATA_DIR);
  }

  /** Whether a property of the interface itself is to be changed. */
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

  private static OptionalInt integer(List<ConfigObject> sections, String key, int greatest)
      throws CniException {
    for (ConfigObject section : sections) {
      OptionalInt value = section.integer(key, 0, greatest);
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
    Optional<String> asked = RequestedMac.of(List.of(config.args(), config.runtimeConfig()), args);
    return asked.isPresent() ? asked : RequestedMac.parse(config.view());
  }
}
