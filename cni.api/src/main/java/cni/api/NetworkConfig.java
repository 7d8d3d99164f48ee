package cni.api;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The configuration of a network: the chain of plugins that an attachment passes through (SPEC
 * section 1).
 *
 * @param name the network's name
 * @param versions the versions that the configuration offers and this library speaks, newest first;
 *     at least one
 * @param disableCheck whether CHECK must not be called
 * @param disableGc whether GC must not be called
 * @param plugins the chain, in the order of ADD
 * @param json the whole configuration, in list form, with every key that it has
 */
public record NetworkConfig(
    String name,
    List<SpecVersion> versions,
    boolean disableCheck,
    boolean disableGc,
    List<PluginConfig> plugins,
    ObjectNode json) {
  private static final String ONLY_INLINED = "loadOnlyInlinedPlugins";

  /** Takes copies of the lists. */
  public NetworkConfig {
    versions = List.copyOf(versions);
    plugins = List.copyOf(plugins);
  }

  /** Where plugins of a network come from that do not stand in its configuration itself. */
  @FunctionalInterface
  public interface PluginSource {
    /** There are none. */
    PluginSource NONE = network -> List.of();

    /**
     * The configurations of a network's further plugins, in the order of ADD.
     *
     * @throws CniException what is wrong with one of them
     */
    List<ObjectNode> pluginsOf(String network) throws CniException;
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
    return parse(text, source, PluginSource.NONE);
  }

  /**
   * Reads a configuration whose list of plugins may go on elsewhere, unless it says {@code
   * loadOnlyInlinedPlugins}.
   *
   * @throws CniException as {@link #parse(byte[], String)}, and what the source throws
   */
  public static NetworkConfig parse(byte[] text, String source, PluginSource further)
      throws CniException {
    ObjectNode json = Json.parse(text, source);
    try {
      var view = new ConfigObject(json, "");
      return view.has("plugins") || !view.has("type")
          ? ofList(json, further)
          : ofList(asList(json), PluginSource.NONE);
    } catch (CniException e) {
      throw e.withContext(source);
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
    var view = new ConfigObject(Json.parse(text, source), "");
    try {
      return view.text("name").orElse("");
    } catch (CniException e) {
      return ""; // something else than text
    }
  }

  /** The newest version of those that the configuration offers and this library speaks. */
  public SpecVersion version() {
    return versions.getFirst();
  }

  private static NetworkConfig ofList(ObjectNode json, PluginSource further) throws CniException {
    var view = new ConfigObject(json, "");
    String name =
        Names.requireNetworkName(
            view.text("name")
                .orElseThrow(() -> view.invalid("name", "is missing: name the network")));
    ObjectNode whole =
        view.bool(ONLY_INLINED, true) ? json : withFurther(json, further.pluginsOf(name));
    List<PluginConfig> plugins = new ArrayList<>();
    for (ConfigObject plugin : new ConfigObject(whole, "").objects("plugins")) {
      plugins.add(PluginConfig.of(plugin));
    }
    if (plugins.isEmpty()) {
      throw view.invalid("plugins", "must list at least one plugin");
    }
    boolean disableCheck = view.bool("disableCheck", true);
    boolean disableGc = view.bool("disableGC", true);
    return new NetworkConfig(name, chooseVersions(view), disableCheck, disableGc, plugins, whole);
  }

  /** What is kept of the configuration is complete, so that whoever reads it needs no files. */
  private static ObjectNode withFurther(ObjectNode json, List<ObjectNode> further) {
    if (further.isEmpty() || (json.has("plugins") && !json.path("plugins").isArray())) {
      return json;
    }
    ObjectNode whole = json.deepCopy();
    ArrayNode plugins = whole.withArray("plugins");
    further.forEach(plugins::add);
    return whole.put(ONLY_INLINED, true);
  }

  /** The list that stands for a single plugin, as libcni's ConfListFromConf makes it. */
  private static ObjectNode asList(ObjectNode plugin) {
    ObjectNode list = Json.object();
    for (Map.Entry<String, JsonNode> entry : plugin.properties()) {
      String key = entry.getKey();
      if (key.equalsIgnoreCase("name") || key.equalsIgnoreCase("cniVersion")) {
        list.set(key, entry.getValue());
      }
    }
    list.putArray("plugins").add(plugin);
    return list;
  }

  /** SPEC section 1, "Version considerations": those offered that are spoken here. */
  private static List<SpecVersion> chooseVersions(ConfigObject view) throws CniException {
    var offered = new TreeSet<>(view.parsedList("cniVersions", SpecVersion::parse));
    Optional<SpecVersion> single = view.parsed("cniVersion", SpecVersion::parse);
    single.ifPresent(offered::add);
    if (offered.isEmpty()) {
      return List.of(SpecVersion.V0_1_0);
    }
    List<SpecVersion> spoken =
        offered.descendingSet().stream().filter(SpecVersion::isKnown).toList();
    if (spoken.isEmpty()) {
      throw new CniException(
          ErrorCode.INCOMPATIBLE_VERSION,
          "the configuration has version " + offered + "; this library speaks " + SpecVersion.ALL);
    }
    return spoken;
  }
}
