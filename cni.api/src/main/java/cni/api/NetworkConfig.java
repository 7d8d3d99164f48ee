package cni.api;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import tools.jackson.databind.node.ObjectNode;

/**
 * The configuration of a network: the chain of plugins that an attachment passes through (SPEC
 * section 1).
 *
 * @param name the network's name
 * @param version the newest version of those that the configuration offers and this library speaks
 * @param disableCheck whether CHECK must not be called
 * @param disableGc whether GC must not be called
 * @param plugins the chain, in the order of ADD
 * @param json the whole configuration, in list form, with every key that it has
 */
public record NetworkConfig(
    String name,
    SpecVersion version,
    boolean disableCheck,
    boolean disableGc,
    List<PluginConfig> plugins,
    ObjectNode json) {
  /** Takes a copy of the list. */
  public NetworkConfig {
    plugins = List.copyOf(plugins);
  }

  /**
   * Reads a configuration, either a list of plugins or, as older ones are, a single plugin.
   *
   * @param text UTF-8
   * @param source where it comes from, for messages
   * @throws CniException code 6 if it is not JSON, 7 if it makes no sense, 1 if this library speaks
   *     none of its versions
   */
  public static NetworkConfig parse(byte[] text, String source) throws CniException {
    ObjectNode json = Json.parse(text, source);
    try {
      return json.has("plugins") || !json.has("type") ? ofList(json) : ofList(asList(json));
    } catch (CniException e) {
      throw e.in(source);
    }
  }

  /**
   * The name that a configuration gives its network, whatever the rest of it is like; empty if it
   * gives none.
   *
   * @param text UTF-8
   * @param source where it comes from, for messages
   * @throws CniException code 6 if it is not JSON
   */
  public static String nameOf(byte[] text, String source) throws CniException {
    return Json.parse(text, source).path("name").asString("");
  }

  private static NetworkConfig ofList(ObjectNode json) throws CniException {
    var view = new ConfigObject(json, "");
    String name =
        Names.network(
            view.text("name")
                .orElseThrow(() -> view.invalid("name", "is missing: name the network")));
    List<PluginConfig> plugins = new ArrayList<>();
    for (ConfigObject plugin : view.objects("plugins")) {
      plugins.add(PluginConfig.of(plugin));
    }
    if (plugins.isEmpty()) {
      throw view.invalid("plugins", "must list at least one plugin");
    }
    return new NetworkConfig(
        name,
        chooseVersion(view),
        flag(view, "disableCheck"),
        flag(view, "disableGC"),
        plugins,
        json);
  }

  /** The list that stands for a single plugin, as libcni's ConfListFromConf makes it. */
  private static ObjectNode asList(ObjectNode plugin) {
    ObjectNode list = Json.object();
    for (String key : List.of("name", "cniVersion")) {
      if (plugin.has(key)) {
        list.set(key, plugin.get(key));
      }
    }
    list.putArray("plugins").add(plugin);
    return list;
  }

  /** SPEC section 1, "Version considerations": the highest of those offered that is spoken here. */
  private static SpecVersion chooseVersion(ConfigObject view) throws CniException {
    var offered = new TreeSet<>(view.parsedList("cniVersions", SpecVersion::parse));
    Optional<SpecVersion> single = view.parsed("cniVersion", SpecVersion::parse);
    single.ifPresent(offered::add);
    if (offered.isEmpty()) {
      return SpecVersion.V0_1_0;
    }
    return offered.descendingSet().stream()
        .filter(SpecVersion::known)
        .findFirst()
        .orElseThrow(
            () ->
                new CniException(
                    ErrorCode.INCOMPATIBLE_VERSION,
                    "the configuration has version "
                        + offered
                        + "; this library speaks "
                        + SpecVersion.ALL));
  }

  /** A boolean that may also be written as a string, as libcni accepts for these keys. */
  private static boolean flag(ConfigObject view, String key) throws CniException {
    if (view.json().path(key).isString()) {
      return view.parsed(
              key,
              text ->
                  switch (text.toLowerCase(java.util.Locale.ROOT)) {
                    case "true" -> true;
                    case "false" -> false;
                    default -> throw new IllegalArgumentException("must be true or false");
                  })
          .orElse(false);
    }
    return view.bool(key);
  }
}
