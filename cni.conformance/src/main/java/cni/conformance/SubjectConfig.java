package cni.conformance;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.internal.IoErrors;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import tools.jackson.databind.node.ObjectNode;

/**
 * The configuration that a plugin is examined with.
 *
 * <p>In a file it is a plugin configuration as a network has it in its list, in which {@code @DIR@}
 * stands for a directory that each check has for itself. What only the kit needs to know is under
 * {@code cni.dev/conformance}, which the plugin does not see:
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
 * @param role what kind of plugin it is; interface if nothing is said
 * @param runtimeConfig the arguments of capabilities
 * @param args CNI_ARGS
 * @param ifName CNI_IFNAME
 * @param devices links that the host has before: veths whose other ends are in a namespace that
 *     stands for the network outside
 * @param containers how many can be attached at the same time
 */
public record SubjectConfig(
    ObjectNode config,
    Role role,
    ObjectNode runtimeConfig,
    String args,
    String ifName,
    List<String> devices,
    int containers) {
  /** The kit's own key. */
  public static final String KEY = "cni.dev/conformance";

  /** How many containers there are where the setting does not say. */
  private static final int DEFAULT_CONTAINERS = 8;

  /** The kinds of plugins (SPEC sections 2 and 4). */
  public enum Role {
    /** Creates the interface. */
    INTERFACE,
    /** Adjusts one that is there, and passes a previous result on. */
    CHAINED,
    /** Only gives out addresses. */
    IPAM
  }

  /** The type that the configuration names. */
  public String type() {
    return config.path("type").asString("");
  }

  /** Whether the plugin comes after another one, whose interface it adjusts. */
  boolean needsPrevResult() {
    return role == Role.CHAINED && !isLoopback();
  }

  /** Whether its interface is the one that every namespace has. */
  boolean isLoopback() {
    return ifName.equals("lo");
  }

  /** The type of the ipam plugin that it delegates to, if it does. */
  public Optional<String> ipamType() {
    String type = config.path("ipam").path("type").asString("");
    return role == Role.IPAM || type.isEmpty() ? Optional.empty() : Optional.of(type);
  }

  /**
   * Reads a setting.
   *
   * @throws CniException code 7 if a value is wrong
   */
  public static SubjectConfig parse(ObjectNode json) throws CniException {
    ObjectNode config = json.deepCopy();
    config.remove(KEY);
    var all = new ConfigObject(json, "");
    if (all.text("type").isEmpty()) {
      throw all.invalid("type", "is missing: the plugin's type");
    }
    ConfigObject own = all.object(KEY).orElseGet(() -> new ConfigObject(Json.object(), KEY));
    Optional<ConfigObject> capabilities = own.object("runtimeConfig");
    Optional<Role> role = own.parsed("role", SubjectConfig::role);
    return new SubjectConfig(
        config,
        role.orElse(Role.INTERFACE),
        capabilities.isPresent() ? capabilities.get().json() : Json.object(),
        own.text("args").orElse(""),
        own.nonEmpty("ifname").orElse("eth0"),
        own.texts("devices"),
        own.integer("containers", 1, 64).orElse(DEFAULT_CONTAINERS));
  }

  private static Role role(String text) {
    try {
      return Role.valueOf(text.toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("must be interface, chained or ipam", e);
    }
  }

  /**
   * A setting that suits a plugin of ours or of the reference.
   *
   * @throws CniException code 7 if none is known: then one has to be given
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
            + ": give one in a file (--config)");
  }
}
