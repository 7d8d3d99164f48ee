// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The configuration of one plugin of a network (SPEC section 1, "Plugin configuration objects"):
 * typed access to the keys of the specification, over a tree that keeps unknown keys.
 */
public final class PluginConfig {
  private static final String RUNTIME_CONFIG = "runtimeConfig";

  /** Keys that the runtime sets or does not pass on, in lower case. */
  private static final Set<String> RUNTIME_ONLY =
      Set.of("cniversion", "name", "capabilities", "prevresult");

  private final ConfigObject view;
  private final String type;

  private PluginConfig(ConfigObject view, String type) {
    this.view = view;
    this.type = type;
  }

  /**
   * Wraps a plugin's configuration.
   *
   * @throws CniException code 7 if {@code type} is missing or not a plain file name
   */
  public static PluginConfig of(ConfigObject config) throws CniException {
    requireNonNull(config, "config");
    String type =
        config
            .text("type")
            .orElseThrow(
                () -> config.invalid("type", "is missing: name the plugin, as \"bridge\""));
    try {
      return new PluginConfig(config, Names.requirePluginType(type));
    } catch (CniException e) {
      throw e.withFault(pluginTypeFault(config, type));
    }
  }

  /** Returns the plugin's type. */
  public String type() {
    return type;
  }

  /** Returns the whole configuration, for reading plugin-specific keys. */
  public ConfigObject view() {
    return view;
  }

  /** Returns the tree itself, not a copy; it must not be changed. */
  public ObjectNode json() {
    return view.json();
  }

  /**
   * Returns the network's name, which the runtime adds to every request.
   *
   * @throws CniException code 7 if it is missing or malformed
   */
  public String network() throws CniException {
    return Names.requireNetworkName(view.text("name").orElse(""));
  }

  /**
   * Returns the version that the runtime chose; 0.1.0 if there is none.
   *
   * @throws CniException code 7 if it is not a version
   */
  public SpecVersion version() throws CniException {
    return view.parsed("cniVersion", SpecVersion::parse).orElse(SpecVersion.V0_1_0);
  }

  /**
   * Returns the {@code ipam} section, if it is present and names a type.
   *
   * @throws CniException code 7 if it is not an object or the type is not a plain file name
   */
  public Optional<ConfigObject> ipam() throws CniException {
    Optional<ConfigObject> ipam = view.object("ipam");
    return ipam.isPresent() && ipamType(ipam.get()).isPresent() ? ipam : Optional.empty();
  }

  /**
   * Returns the {@code ipam} section, for an IPAM plugin itself.
   *
   * @param plugin the type of that plugin, for the message
   * @throws CniException code 7 if it is missing or not an object
   */
  public ConfigObject requireIpam(String plugin) throws CniException {
    requireNonNull(plugin, "plugin");
    return view.object("ipam")
        .orElseThrow(() -> view.invalid("ipam", "is missing: " + plugin + " needs it"));
  }

  /**
   * Returns the type of the IPAM plugin, if there is one.
   *
   * @throws CniException code 7 if it is not a plain file name
   */
  public Optional<String> ipamType() throws CniException {
    Optional<ConfigObject> ipam = view.object("ipam");
    return ipam.isPresent() ? ipamType(ipam.get()) : Optional.empty();
  }

  private static Optional<String> ipamType(ConfigObject ipam) throws CniException {
    Optional<String> type = ipam.nonEmpty("type");
    try {
      return type.isPresent() ? Optional.of(Names.requirePluginType(type.get())) : type;
    } catch (CniException e) {
      throw e.withFault(pluginTypeFault(ipam, type.orElseThrow()));
    }
  }

  private static ConfigFault pluginTypeFault(ConfigObject section, String type) {
    return new ConfigFault(
        section.path("type"), Json.quote(type), "must be a plain file name, such as \"bridge\"");
  }

  /**
   * Returns the {@code dns} section; {@link Dns#NONE} if there is none.
   *
   * @throws CniException code 7 if a value has the wrong type
   */
  public Dns dns() throws CniException {
    Optional<ConfigObject> dns = view.object("dns");
    return dns.isPresent() ? Dns.parse(dns.get()) : Dns.NONE;
  }

  /**
   * Returns the capability arguments, {@code runtimeConfig}, which the runtime adds to requests.
   *
   * @throws CniException code 7 if the section is not an object
   */
  public Optional<ConfigObject> runtimeConfig() throws CniException {
    return view.object(RUNTIME_CONFIG);
  }

  /**
   * Returns the conventional arguments, {@code args.cni} (CONVENTIONS.md).
   *
   * @throws CniException code 7 if a section is not an object
   */
  public Optional<ConfigObject> args() throws CniException {
    Optional<ConfigObject> args = view.object("args");
    return args.isPresent() ? args.get().object("cni") : Optional.empty();
  }

  /**
   * Returns the names of the capabilities that are enabled in this configuration.
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
   * Derives the configuration of a request (SPEC section 3, "Deriving request configuration"): adds
   * the network's name, the version and the arguments of enabled capabilities, and removes the keys
   * that only the runtime reads.
   *
   * @throws CniException code 7 if the capabilities section is invalid
   */
  public PluginConfig forRequest(
      String network, SpecVersion version, Map<String, JsonNode> capabilityArgs)
      throws CniException {
    requireNonNull(network, "network");
    requireNonNull(version, "version");
    requireNonNull(capabilityArgs, "capabilityArgs");
    ObjectNode request = Json.object();
    request.put("cniVersion", version.toString());
    request.put("name", network);
    for (Map.Entry<String, JsonNode> entry : view.content().properties()) {
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
    return new PluginConfig(
        new ConfigObject(RepeatedKeysNode.mark(request, view.content()), ""), type);
  }

  /** Ignores case, as Go's encoding/json does for keys. */
  private static boolean isRuntimeOnly(String key) {
    return RUNTIME_ONLY.contains(key.toLowerCase(Locale.ROOT)) || key.startsWith("cni.dev/");
  }
}
