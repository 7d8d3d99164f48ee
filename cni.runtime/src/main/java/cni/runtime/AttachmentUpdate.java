// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Objects.requireNonNull;

import cni.api.Attachment;
import cni.api.CapabilityArgs;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.NetworkConfig;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A change of what an attachment should be: of its capability arguments, its generic arguments and
 * its configuration. Everything else stays as the last ADD or update stored it. Immutable; each
 * method returns a copy with one more change.
 *
 * <pre>{@code
 * network.update(id, AttachmentUpdate.NONE.withKey("bridge", "mtu", IntNode.valueOf(1400)));
 * }</pre>
 */
public final class AttachmentUpdate {
  /** No change, as for a repair. */
  public static final AttachmentUpdate NONE =
      new AttachmentUpdate(false, false, Map.of(), Map.of(), List.of());

  private final boolean usesNetworkConfig;
  private final boolean allowsRecreation;
  private final Map<String, Optional<JsonNode>> capabilityArgs;
  private final Map<String, Optional<String>> args;
  private final List<ConfigEdit> edits;

  private AttachmentUpdate(
      boolean usesNetworkConfig,
      boolean allowsRecreation,
      Map<String, Optional<JsonNode>> capabilityArgs,
      Map<String, Optional<String>> args,
      List<ConfigEdit> edits) {
    this.usesNetworkConfig = usesNetworkConfig;
    this.allowsRecreation = allowsRecreation;
    this.capabilityArgs = capabilityArgs;
    this.args = args;
    this.edits = edits;
  }

  /** A change of the list of plugins in a network's configuration. */
  @FunctionalInterface
  private interface ConfigEdit {
    void apply(ArrayNode plugins) throws CniException;
  }

  /**
   * Replaces the stored configuration by that of the {@link Network} object, as it is after its
   * file has changed. Further changes apply on top.
   */
  public AttachmentUpdate withNetworkConfig() {
    return new AttachmentUpdate(true, allowsRecreation, capabilityArgs, args, edits);
  }

  /**
   * Allows that the attachment is deleted and added again if it cannot be changed otherwise: its
   * connections are then lost, and its addresses may change.
   */
  public AttachmentUpdate allowRecreation() {
    return new AttachmentUpdate(usesNetworkConfig, true, capabilityArgs, args, edits);
  }

  /** Sets a capability argument, such as {@code portMappings}. */
  public AttachmentUpdate withCapabilityArg(String capability, JsonNode value) {
    requireNonNull(capability, "capability");
    requireNonNull(value, "value");
    return withChangedCapabilityArgs(with(capabilityArgs, capability, Optional.of(value)));
  }

  /** Sets capability arguments; others stay. */
  public AttachmentUpdate withCapabilityArgs(CapabilityArgs args) {
    requireNonNull(args, "args");
    AttachmentUpdate change = this;
    for (Map.Entry<String, JsonNode> arg : args.toMap().entrySet()) {
      change = change.withCapabilityArg(arg.getKey(), arg.getValue());
    }
    return change;
  }

  /** Removes a capability argument. */
  public AttachmentUpdate withoutCapabilityArg(String capability) {
    requireNonNull(capability, "capability");
    return withChangedCapabilityArgs(with(capabilityArgs, capability, Optional.empty()));
  }

  private AttachmentUpdate withChangedCapabilityArgs(Map<String, Optional<JsonNode>> changed) {
    return new AttachmentUpdate(usesNetworkConfig, allowsRecreation, changed, args, edits);
  }

  /** Sets a generic argument (CNI_ARGS), or with an empty value removes it. */
  public AttachmentUpdate withArg(String key, Optional<String> value) {
    requireNonNull(key, "key");
    requireNonNull(value, "value");
    Map<String, Optional<String>> changed = with(args, key, value);
    return new AttachmentUpdate(
        usesNetworkConfig, allowsRecreation, capabilityArgs, changed, edits);
  }

  /**
   * Sets a key of a plugin's configuration.
   *
   * @param type the plugin's type; if the chain has several of that type, the first is meant
   * @param path the key, after the keys of the objects that contain it: {@code ipam.routes}
   */
  public AttachmentUpdate withKey(String type, String path, JsonNode value) {
    requireNonNull(type, "type");
    requireNonNull(path, "path");
    requireNonNull(value, "value");
    return with(plugins -> setKey(plugin(plugins, type), path, Optional.of(value)));
  }

  /** Removes a key of a plugin's configuration; see {@link #withKey}. */
  public AttachmentUpdate withoutKey(String type, String path) {
    requireNonNull(type, "type");
    requireNonNull(path, "path");
    return with(plugins -> setKey(plugin(plugins, type), path, Optional.empty()));
  }

  /** Appends a plugin to the chain. */
  public AttachmentUpdate withPlugin(ObjectNode config) {
    requireNonNull(config, "config");
    return with(plugins -> plugins.add(config.deepCopy()));
  }

  /** Removes the first plugin of a type from the chain. */
  public AttachmentUpdate withoutPlugin(String type) {
    requireNonNull(type, "type");
    return with(plugins -> plugins.remove(indexOf(plugins, type)));
  }

  private AttachmentUpdate with(ConfigEdit edit) {
    List<ConfigEdit> more = new ArrayList<>(edits);
    more.add(edit);
    return new AttachmentUpdate(
        usesNetworkConfig, allowsRecreation, capabilityArgs, args, List.copyOf(more));
  }

  private static <V> Map<String, V> with(Map<String, V> map, String key, V value) {
    Map<String, V> copy = new LinkedHashMap<>(map);
    copy.put(key, value);
    return copy;
  }

  /** Returns the capabilities whose arguments are set, without those that are removed. */
  Set<String> setCapabilities() {
    Set<String> set = new LinkedHashSet<>();
    capabilityArgs.forEach(
        (capability, value) -> {
          if (value.isPresent()) {
            set.add(capability);
          }
        });
    return set;
  }

  /** Returns whether the attachment may be deleted and added again. */
  boolean allowsRecreation() {
    return allowsRecreation;
  }

  /**
   * Returns the desired configuration.
   *
   * @param stored the attachment's configuration
   * @param network the configuration of the network object
   * @throws CniException code 4 if a plugin is not in the chain, code 7 if the result is invalid
   */
  NetworkConfig applyTo(NetworkConfig stored, NetworkConfig network) throws CniException {
    NetworkConfig base = usesNetworkConfig ? network : stored;
    if (edits.isEmpty()) {
      return base;
    }
    ObjectNode json = base.json().deepCopy();
    ArrayNode plugins = json.withArray("plugins");
    for (ConfigEdit edit : edits) {
      edit.apply(plugins);
    }
    return NetworkConfig.parse(Json.bytes(json), "the updated configuration of " + base.name());
  }

  /** Returns the attachment with the desired arguments. */
  Attachment applyTo(Attachment stored) throws CniException {
    Map<String, JsonNode> capabilities = new LinkedHashMap<>(stored.capabilityArgs());
    capabilityArgs.forEach((key, value) -> put(capabilities, key, value));
    if (args.isEmpty()) {
      return stored.withCapabilityArgs(capabilities);
    }
    Map<String, String> generic = new LinkedHashMap<>(stored.args().toMap());
    args.forEach((key, value) -> put(generic, key, value));
    return new Attachment(stored.id(), stored.namespace(), CniArgs.of(generic), capabilities);
  }

  private static <V> void put(Map<String, V> map, String key, Optional<V> value) {
    if (value.isPresent()) {
      map.put(key, value.get());
    } else {
      map.remove(key);
    }
  }

  private static ObjectNode plugin(ArrayNode plugins, String type) throws CniException {
    return (ObjectNode) plugins.get(indexOf(plugins, type));
  }

  private static int indexOf(ArrayNode plugins, String type) throws CniException {
    for (int i = 0; i < plugins.size(); i++) {
      if (plugins.get(i) instanceof ObjectNode plugin && typeOf(plugin).equals(type)) {
        return i;
      }
    }
    String types =
        plugins
            .valueStream()
            .map(it -> it instanceof ObjectNode plugin ? typeOf(plugin) : "")
            .collect(Collectors.joining(", "));
    throw new CniException(
        ErrorCode.INVALID_PARAMETER,
        "the chain has no plugin %s; it has %s".formatted(Json.quote(type), types));
  }

  private static String typeOf(ObjectNode plugin) {
    return plugin.path(existingKey(plugin, "type")).asString("");
  }

  private static void setKey(ObjectNode plugin, String path, Optional<JsonNode> value)
      throws CniException {
    ObjectNode object = plugin;
    String[] keys = path.split("\\.", -1);
    for (int i = 0; i < keys.length - 1; i++) {
      String key = existingKey(object, keys[i]);
      if (!object.has(key)) {
        object.putObject(key);
      }
      if (!(object.get(key) instanceof ObjectNode inner)) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "key %s of plugin %s is not an object".formatted(Json.quote(key), typeOf(plugin)));
      }
      object = inner;
    }
    String key = existingKey(object, keys[keys.length - 1]);
    if (value.isPresent()) {
      object.set(key, value.get());
    } else {
      object.remove(key);
    }
  }

  /** Returns a key as it is written in an object: keys are read without regard to case. */
  private static String existingKey(ObjectNode object, String key) {
    return object.propertyNames().stream()
        .filter(it -> it.equalsIgnoreCase(key))
        .findFirst()
        .orElse(key);
  }
}
