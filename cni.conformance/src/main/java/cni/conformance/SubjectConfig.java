// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.internal.IoErrors;
import cni.runtime.PluginRegistry;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import tools.jackson.databind.node.ObjectNode;

/**
 * The configuration of an examination.
 *
 * <p>Its file is a plugin configuration as in the list of a network. In its strings {@code @DIR@}
 * is replaced by a temporary directory of each check. The key {@code cni.dev/conformance}, which is
 * not passed to the plugin, configures the kit:
 *
 * <pre>{@code
 * { "type": "portmap", "capabilities": { "portMappings": true },
 *   "cni.dev/conformance": {
 *     "role": "chained",
 *     "runtimeConfig": { "portMappings": [ { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" } ] },
 *     "args": "IgnoreUnknown=1", "ifname": "eth0", "devices": [ "host0" ], "containers": 1 } }
 * }</pre>
 *
 * @param config the plugin's configuration
 * @param role the role of the plugin; interface by default
 * @param runtimeConfig the capability arguments
 * @param args CNI_ARGS
 * @param ifName CNI_IFNAME
 * @param devices the links that exist on the host beforehand: veths whose peers are in a namespace
 *     that represents the external network
 * @param containers how many containers can be attached at the same time
 */
public record SubjectConfig(
    ObjectNode config,
    Role role,
    ObjectNode runtimeConfig,
    String args,
    String ifName,
    List<String> devices,
    int containers) {
  /** The configuration key of the kit. */
  public static final String KEY = "cni.dev/conformance";

  /** The default of {@code containers}. */
  private static final int DEFAULT_CONTAINERS = 8;

  /** The roles of plugins (SPEC sections 2 and 4). */
  public enum Role {
    /** Creates an interface. */
    INTERFACE,
    /** Modifies an existing interface and passes the previous result on. */
    CHAINED,
    /** Only assigns addresses. */
    IPAM
  }

  /** Returns the plugin's type. */
  public String type() {
    return config.path("type").asString("");
  }

  /** Returns whether the plugin needs the result of a preceding plugin. */
  boolean needsPrevResult() {
    return role == Role.CHAINED && !isLoopback();
  }

  /** Returns whether the plugin's interface is {@code lo}, which every namespace has. */
  boolean isLoopback() {
    return ifName.equals("lo");
  }

  /** Returns the type of the IPAM plugin that the plugin delegates to, if any. */
  public Optional<String> ipamType() {
    String type = config.path("ipam").path("type").asString("");
    return role == Role.IPAM || type.isEmpty() ? Optional.empty() : Optional.of(type);
  }

  /**
   * Parses the configuration of an examination.
   *
   * @throws CniException code 7 if a value is invalid
   */
  public static SubjectConfig parse(ObjectNode json) throws CniException {
    ObjectNode config = json.deepCopy();
    config.remove(KEY);
    var all = new ConfigObject(json, "");
    if (all.text("type").isEmpty()) {
      throw all.invalid("type", "is missing: give the plugin's type");
    }
    ConfigObject kit = all.object(KEY).orElseGet(() -> new ConfigObject(Json.object(), KEY));
    Optional<ConfigObject> capabilities = kit.object("runtimeConfig");
    Optional<Role> role = kit.parsed("role", SubjectConfig::role);
    return new SubjectConfig(
        config,
        role.orElse(Role.INTERFACE),
        capabilities.isPresent() ? capabilities.get().json() : Json.object(),
        kit.text("args").orElse(""),
        kit.nonEmpty("ifname").orElse("eth0"),
        kit.texts("devices"),
        kit.integer("containers", 1, 64).orElse(DEFAULT_CONTAINERS));
  }

  private static Role role(String text) {
    try {
      return Role.valueOf(text.toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("must be interface, chained or ipam", e);
    }
  }

  /**
   * Returns the configuration for a plugin: the one in the module that provides it, in {@code
   * META-INF/cni/conformance/TYPE.json}, otherwise the built-in one.
   *
   * @throws CniException code 7 if there is none for that type, or it is invalid
   */
  public static SubjectConfig of(String type, PluginRegistry plugins) throws CniException {
    String path = "META-INF/cni/conformance/" + type + ".json";
    Optional<byte[]> own = plugins.resource(type, path);
    return own.isPresent() ? parse(Json.parse(own.get(), path)) : of(type);
  }

  /**
   * Returns the built-in configuration for a plugin of this project or of the reference plugins.
   *
   * @throws CniException code 7 if there is none for that type
   */
  public static SubjectConfig of(String type) throws CniException {
    String name = "settings/" + type + ".json";
    try (var in = SubjectConfig.class.getResourceAsStream(name)) {
      if (in != null) {
        return parse(Json.parse(in.readAllBytes(), name));
      }
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, name + " cannot be read: " + IoErrors.reason(e), e);
    }
    throw new CniException(
        ErrorCode.INVALID_CONFIG,
        "no configuration is known for plugins of type "
            + type
            + ": give one in a file (--config), or in META-INF/cni/conformance/"
            + type
            + ".json of its module");
  }
}
