// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import cni.api.internal.NullChecks;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A network configuration: the chain of plugins that an attachment passes through (SPEC section 1).
 *
 * @param name the network's name
 * @param versions the versions that the configuration offers and this library supports, newest
 *     first; not empty
 * @param disableCheck whether CHECK must not be called
 * @param disableGc whether GC must not be called
 * @param plugins the chain, in the order of ADD; not empty
 * @param json the whole configuration in list form, unknown keys included
 */
public record NetworkConfig(
    String name,
    List<SpecVersion> versions,
    boolean disableCheck,
    boolean disableGc,
    List<PluginConfig> plugins,
    ObjectNode json) {
  private static final String ONLY_INLINED = "loadOnlyInlinedPlugins";

  /** Copies the lists. */
  public NetworkConfig {
    requireNonNull(name, "name");
    requireNonNull(json, "json");
    versions = NullChecks.copyOf(versions, "versions");
    plugins = NullChecks.copyOf(plugins, "plugins");
  }

  /** Supplies plugins of a network that are configured outside its own configuration file. */
  @FunctionalInterface
  public interface PluginSource {
    /** A source without plugins. */
    PluginSource NONE = network -> List.of();

    /**
     * Returns the configurations of a network's further plugins, in the order of ADD.
     *
     * @throws CniException if one of them cannot be read
     */
    List<ObjectNode> pluginsOf(String network) throws CniException;
  }

  /**
   * Parses a configuration: a list of plugins ({@code .conflist}) or a single plugin ({@code
   * .conf}).
   *
   * @param text UTF-8
   * @param source the origin of the text, such as a file name, for messages
   * @throws CniException code 6 if it is not JSON, 7 if it is invalid, 1 if this library supports
   *     none of its versions
   */
  public static NetworkConfig parse(byte[] text, String source) throws CniException {
    return parse(text, source, PluginSource.NONE);
  }

  /**
   * Parses a configuration and appends the plugins of another source to its list, unless it says
   * {@code loadOnlyInlinedPlugins}.
   *
   * @throws CniException as {@link #parse(byte[], String)}, and what the other source throws
   */
  public static NetworkConfig parse(byte[] text, String source, PluginSource morePlugins)
      throws CniException {
    requireNonNull(text, "text");
    requireNonNull(source, "source");
    requireNonNull(morePlugins, "morePlugins");
    ObjectNode json = Json.parse(text, source);
    try {
      return isSingle(json) ? ofList(asList(json), PluginSource.NONE) : ofList(json, morePlugins);
    } catch (CniException e) {
      throw e.withContext(source);
    }
  }

  /**
   * Returns the network's name in a configuration that may otherwise be invalid.
   *
   * @param text UTF-8
   * @param source the origin of the text, such as a file name, for messages
   * @return the empty string if the name is missing or not a string
   * @throws CniException code 6 if the text is not a JSON object
   */
  public static String nameOf(byte[] text, String source) throws CniException {
    requireNonNull(text, "text");
    requireNonNull(source, "source");
    JsonNode name = new ConfigObject(Json.parse(text, source), "").node("name");
    return name != null && name.isString() ? name.stringValue() : "";
  }

  /** Returns the newest version that the configuration offers and this library supports. */
  public SpecVersion version() {
    return versions.getFirst();
  }

  private static NetworkConfig ofList(ObjectNode json, PluginSource morePlugins)
      throws CniException {
    var view = new ConfigObject(json, "");
    String name = requireName(view);
    return of(name, new ConfigObject(complete(name, view, morePlugins), ""));
  }

  /**
   * Reads the network's name.
   *
   * @throws CniException code 7 if it is missing or malformed
   */
  public static String requireName(ConfigObject view) throws CniException {
    requireNonNull(view, "view");
    String name =
        view.text("name").orElseThrow(() -> view.invalid("name", "is missing: name the network"));
    try {
      return Names.requireNetworkName(name);
    } catch (CniException e) {
      throw e.withFault(new ConfigFault("name", Json.quote(name), Names.IDENTIFIER_RULES.strip()));
    }
  }

  /**
   * Returns a configuration in list form with the plugins of another source, unless it says {@code
   * loadOnlyInlinedPlugins}.
   *
   * @throws CniException code 7 if that key is invalid, and what the other source throws
   */
  public static ObjectNode complete(String name, ConfigObject view, PluginSource morePlugins)
      throws CniException {
    requireNonNull(name, "name");
    requireNonNull(view, "view");
    requireNonNull(morePlugins, "morePlugins");
    ObjectNode json = view.content();
    return view.bool(ONLY_INLINED, true) ? json : append(json, morePlugins.pluginsOf(name));
  }

  /**
   * Reads a complete configuration in list form.
   *
   * @param name the network's name
   * @throws CniException code 7 if it is invalid, 1 if this library supports none of its versions
   */
  public static NetworkConfig of(String name, ConfigObject view) throws CniException {
    requireNonNull(name, "name");
    requireNonNull(view, "view");
    boolean disableCheck = view.bool("disableCheck", true);
    boolean disableGc = view.bool("disableGC", true);
    List<SpecVersion> versions = supportedVersions(view);
    List<PluginConfig> plugins = new ArrayList<>();
    for (ConfigObject plugin : view.objects("plugins")) {
      plugins.add(PluginConfig.of(plugin));
    }
    if (plugins.isEmpty()) {
      throw view.invalid("plugins", "must list at least one plugin");
    }
    return new NetworkConfig(name, versions, disableCheck, disableGc, plugins, view.content());
  }

  /** Appends plugins to the list, and marks it as complete for readers of the result cache. */
  private static ObjectNode append(ObjectNode json, List<ObjectNode> morePlugins) {
    if (morePlugins.isEmpty() || (json.has("plugins") && !json.path("plugins").isArray())) {
      return json;
    }
    ObjectNode complete = json.deepCopy();
    ArrayNode plugins = complete.withArray("plugins");
    morePlugins.forEach(plugins::add);
    return complete.put(ONLY_INLINED, true);
  }

  /** Returns whether a configuration is a single plugin rather than a list. */
  public static boolean isSingle(ObjectNode json) {
    requireNonNull(json, "json");
    var view = new ConfigObject(json, "");
    return view.has("type") && !view.has("plugins");
  }

  /** Converts a single plugin to a list of one, as libcni's ConfListFromConf does. */
  public static ObjectNode asList(ObjectNode plugin) {
    requireNonNull(plugin, "plugin");
    ObjectNode list = Json.object();
    for (Map.Entry<String, JsonNode> entry : plugin.properties()) {
      String key = entry.getKey();
      if (key.equalsIgnoreCase("name") || key.equalsIgnoreCase("cniVersion")) {
        list.set(key, entry.getValue());
      }
    }
    list.putArray("plugins").add(plugin);
    return RepeatedKeysNode.mark(list, plugin);
  }

  /** SPEC section 1, "Version considerations". */
  private static List<SpecVersion> supportedVersions(ConfigObject view) throws CniException {
    var offered = new TreeSet<>(view.parsedList("cniVersions", SpecVersion::parse));
    Optional<SpecVersion> single = view.parsed("cniVersion", SpecVersion::parse);
    single.ifPresent(offered::add);
    if (offered.isEmpty()) {
      return List.of(SpecVersion.V0_1_0);
    }
    List<SpecVersion> supported =
        offered.descendingSet().stream().filter(SpecVersion::isKnown).toList();
    if (supported.isEmpty()) {
      String supports = "this library supports " + SpecVersion.join(SpecVersion.ALL);
      String key = single.isPresent() ? "cniVersion" : "cniVersions";
      throw new CniException(
              ErrorCode.INCOMPATIBLE_VERSION,
              "the configuration has version " + SpecVersion.join(offered) + "; " + supports)
          .withFault(ConfigFault.of(key, view.node(key), "is not supported: " + supports));
    }
    return supported;
  }
}
