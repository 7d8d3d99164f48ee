package cni.api;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The configuration of one plugin in a network: a tree in which keys that nobody here knows are
 * kept, with typed views of what the specification defines (SPEC section 1, "Plugin configuration
 * objects").
 */
public final class PluginConfig {
  private static final String RUNTIME_CONFIG = "runtimeConfig";

  /** Keys that the runtime writes, or keeps to itself; in lower case. */
  private static final Set<String> RUNTIME_ONLY =
      Set.of("cniversion", "name", "capabilities", "prevresult");

  private final ConfigObject view;
  private final String type;

  private PluginConfig(ConfigObject view, String type) {
    this.view = view;
    this.type = type;
  }

  /**
   * Takes a plugin's configuration.
   *
   * @throws CniException code 7 if {@code type} is missing or not a plain file name
   */
  public static PluginConfig of(ConfigObject config) throws CniException {
    String type =
        config
            .text("type")
            .orElseThrow(
                () -> config.invalid("type", "is missing: name the plugin, as \"bridge\""));
    return new PluginConfig(config, Names.requirePluginType(type));
  }

  /** The plugin's type. */
  public String type() {
    return type;
  }

  /** The whole configuration, for reading what the plugin itself defines. */
  public ConfigObject view() {
    return view;
  }

  /** The tree, for passing on: not a copy, do not change it. */
  public ObjectNode json() {
    return view.json();
  }

  /**
   * The network's name, which the runtime puts into every request.
   *
   * @throws CniException code 7 if it is missing or malformed
   */
  public String network() throws CniException {
    return Names.requireNetworkName(view.text("name").orElse(""));
  }

  /**
   * The version that the runtime chose.
   *
   * @throws CniException code 7 if it is not a version
   */
  public SpecVersion version() throws CniException {
    return view.parsed("cniVersion", SpecVersion::parse).orElse(SpecVersion.V0_1_0);
  }

  /**
   * The {@code ipam} section; absent also where it names no type.
   *
   * @throws CniException code 7 if it is not an object or the type not a plain file name
   */
  public Optional<ConfigObject> ipam() throws CniException {
    Optional<ConfigObject> ipam = view.object("ipam");
    return ipam.isPresent() && ipamType(ipam.get()).isPresent() ? ipam : Optional.empty();
  }

  /**
   * The {@code ipam} section, for the plugin that it is for.
   *
   * @param plugin its type, for the message
   * @throws CniException code 7 if it is missing or not an object
   */
  public ConfigObject requireIpam(String plugin) throws CniException {
    return view.object("ipam")
        .orElseThrow(() -> view.invalid("ipam", "is missing: " + plugin + " needs it"));
  }

  /**
   * The type of the plugin that manages addresses, if there is one.
   *
   * @throws CniException code 7 if it is not a plain file name
   */
  public Optional<String> ipamType() throws CniException {
    Optional<ConfigObject> ipam = view.object("ipam");
    return ipam.isPresent() ? ipamType(ipam.get()) : Optional.empty();
  }

  private static Optional<String> ipamType(ConfigObject ipam) throws CniException {
    Optional<String> type = ipam.nonEmpty("type");
    return type.isPresent() ? Optional.of(Names.requirePluginType(type.get())) : type;
  }

  /**
   * The {@code dns} section.
   *
   * @throws CniException code 7 if a value has the wrong type
   */
  public Dns dns() throws CniException {
    Optional<ConfigObject> dns = view.object("dns");
    return dns.isPresent() ? Dns.parse(dns.get()) : Dns.NONE;
  }

  /**
   * The arguments that the runtime gives for capabilities of this plugin.
   *
   * @throws CniException code 7 if the section is not an object
   */
  public Optional<ConfigObject> runtimeConfig() throws CniException {
    return view.object(RUNTIME_CONFIG);
  }

  /**
   * The conventional arguments, {@code args.cni}.
   *
   * @throws CniException code 7 if a section is not an object
   */
  public Optional<ConfigObject> args() throws CniException {
    Optional<ConfigObject> args = view.object("args");
    return args.isPresent() ? args.get().object("cni") : Optional.empty();
  }

  /**
   * The capabilities that the plugin asks to be served.
   *
   * @throws CniException code 7 if the section is not an object of booleans
   */
  public List<String> capabilities() throws CniException {
    Optional<ConfigObject> capabilities = view.object("capabilities");
    List<String> enabled = new ArrayList<>();
    if (capabilities.isPresent()) {
      for (String name : capabilities.get().keys()) {
        if (capabilities.get().bool(name)) {
          enabled.add(name);
        }
      }
    }
    return enabled;
  }

  /**
   * The configuration of a request (SPEC section 3, "Deriving request configuration"): this one
   * with the network's name and version and with the arguments of the capabilities that it asks
   * for, without what only the runtime reads.
   *
   * @throws CniException code 7 if the capabilities cannot be read
   */
  public PluginConfig forRequest(
      String network, SpecVersion version, Map<String, JsonNode> capabilityArgs)
      throws CniException {
    ObjectNode request = Json.object();
    request.put("cniVersion", version.toString());
    request.put("name", network);
    for (Map.Entry<String, JsonNode> entry : json().properties()) {
      if (!isRuntimeOnly(entry.getKey())) {
        request.set(entry.getKey(), entry.getValue());
      }
    }
    ObjectNode runtimeConfig = Json.object();
    for (String capability : capabilities()) {
      JsonNode argument = capabilityArgs.get(capability);
      if (argument != null) {
        runtimeConfig.set(capability, argument);
      }
    }
    if (!runtimeConfig.isEmpty()) {
      request.set(RUNTIME_CONFIG, runtimeConfig);
    }
    return new PluginConfig(new ConfigObject(request, ""), type);
  }

  /** In any case: for Go plugins a key that differs in no more than that is the same key. */
  private static boolean isRuntimeOnly(String key) {
    return RUNTIME_ONLY.contains(key.toLowerCase(Locale.ROOT)) || key.startsWith("cni.dev/");
  }
}
