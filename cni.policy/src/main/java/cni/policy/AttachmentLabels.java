// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.api.AttachmentRequest;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.PluginConfig;
import cni.policy.Endpoint.NamedPort;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The labels and the names of ports that come with an attachment.
 *
 * <p>Of a label that several sources have, the first of these is used: the capability {@code
 * labels} ({@code runtimeConfig.labels}, an object of strings), {@code args.cni.labels} (a list of
 * objects with {@code key} and {@code value}, CONVENTIONS.md), {@code LABELS=a=b,c=d} in CNI_ARGS,
 * and for the labels io.kubernetes.pod.namespace and io.kubernetes.pod.name {@code
 * K8S_POD_NAMESPACE} and {@code K8S_POD_NAME} there.
 *
 * <p>Names of ports are the capability {@code namedPorts} ({@code runtimeConfig.namedPorts}): an
 * object of {@code {"port": 8080, "protocol": "TCP"}}, where TCP is the default, or {@code
 * "8080/tcp"}.
 */
public final class AttachmentLabels {
  private static final String LABELS = "labels";
  private static final String ARGS_KEY = "LABELS";
  private static final String NAMED_PORTS = "namedPorts";
  private static final Pattern PORT = Pattern.compile("(\\d{1,5})(?:/([a-zA-Z]+))?");

  private AttachmentLabels() {}

  /**
   * Returns the labels of an attachment.
   *
   * @throws CniException code 7 if one is invalid, code 4 if it is in CNI_ARGS
   */
  public static Map<String, String> labels(AttachmentRequest request) throws CniException {
    Map<String, String> labels = new TreeMap<>();
    addPod(request.attachment().args(), labels);
    addArgs(request.attachment().args(), labels);
    addConfigured(request.config(), labels);
    return labels;
  }

  /**
   * Validates the labels and ports of a configuration.
   *
   * @throws CniException code 7 if one is invalid
   */
  public static void validate(PluginConfig config) throws CniException {
    addConfigured(config, new TreeMap<>());
    ports(config);
  }

  private static void addConfigured(PluginConfig config, Map<String, String> labels)
      throws CniException {
    Optional<ConfigObject> conventional = config.args();
    if (conventional.isPresent()) {
      addList(conventional.get(), labels);
    }
    Optional<ConfigObject> runtime = config.runtimeConfig();
    if (runtime.isPresent()) {
      addObject(runtime.get(), labels);
    }
  }

  /**
   * Returns the ports of an attachment by their names.
   *
   * @throws CniException code 7 if one is invalid
   */
  public static Map<String, NamedPort> ports(AttachmentRequest request) throws CniException {
    return ports(request.config());
  }

  private static Map<String, NamedPort> ports(PluginConfig config) throws CniException {
    Map<String, NamedPort> ports = new TreeMap<>();
    Optional<ConfigObject> runtime = config.runtimeConfig();
    if (runtime.isPresent()) {
      addPorts(runtime.get(), ports);
    }
    return ports;
  }

  /** Names of pods may be longer than the value of a label. */
  private static void addPod(CniArgs args, Map<String, String> labels) throws CniException {
    Map<String, String> keys = new LinkedHashMap<>();
    keys.put("K8S_POD_NAMESPACE", Labels.NAMESPACE);
    keys.put("K8S_POD_NAME", Labels.POD_NAME);
    for (Map.Entry<String, String> key : keys.entrySet()) {
      String value = args.get(key.getKey()).orElse("");
      if (value.isEmpty()) {
        continue;
      }
      if (!Labels.isSubdomain(value)) {
        throw invalidArg(
            key.getKey(), value, "must have lower-case letters, digits, '-' and '.' only");
      }
      labels.put(key.getValue(), value);
    }
  }

  private static void addArgs(CniArgs args, Map<String, String> labels) throws CniException {
    for (String pair : args.get(ARGS_KEY).orElse("").split(",", -1)) {
      if (pair.isEmpty()) {
        continue;
      }
      int equals = pair.indexOf('=');
      if (equals < 0) {
        throw invalidArg(ARGS_KEY, pair, "must be of the form key=value, with ',' between labels");
      }
      String key = pair.substring(0, equals);
      String value = pair.substring(equals + 1);
      Optional<String> problem = Labels.keyProblem(key).map(why -> Json.quote(key) + " " + why);
      problem =
          problem.or(() -> Labels.valueProblem(value).map(why -> Json.quote(value) + " " + why));
      if (problem.isPresent()) {
        throw invalidArg(ARGS_KEY, pair, "is invalid: " + problem.get());
      }
      labels.put(key, value);
    }
  }

  private static CniException invalidArg(String key, String value, String why) {
    return new CniException(
        ErrorCode.INVALID_PARAMETER, "CNI_ARGS: " + key + " " + Json.quote(value) + " " + why);
  }

  private static void addList(ConfigObject conventional, Map<String, String> labels)
      throws CniException {
    for (ConfigObject label : conventional.objects(LABELS)) {
      String key =
          label.text("key").orElseThrow(() -> label.invalid("key", "is missing: name the label"));
      String value = label.text("value").orElse("");
      require(label, "key", Labels.keyProblem(key));
      require(label, "value", Labels.valueProblem(value));
      labels.put(key, value);
    }
  }

  private static void addObject(ConfigObject runtime, Map<String, String> labels)
      throws CniException {
    Optional<ConfigObject> object = runtime.object(LABELS);
    if (object.isEmpty()) {
      return;
    }
    object.get().requireDistinctKeys();
    for (String key : object.get().keys()) {
      require(object.get(), key, Labels.keyProblem(key));
      String value = object.get().text(key).orElse("");
      require(object.get(), key, Labels.valueProblem(value));
      labels.put(key, value);
    }
  }

  private static void require(ConfigObject view, String key, Optional<String> problem)
      throws CniException {
    if (problem.isPresent()) {
      throw view.invalid(key, problem.get());
    }
  }

  private static void addPorts(ConfigObject runtime, Map<String, NamedPort> ports)
      throws CniException {
    Optional<ConfigObject> object = runtime.object(NAMED_PORTS);
    if (object.isEmpty()) {
      return;
    }
    object.get().requireDistinctKeys();
    for (String name : object.get().keys()) {
      require(object.get(), name, Labels.portNameProblem(name));
      ports.put(name, port(object.get(), name));
    }
  }

  private static NamedPort port(ConfigObject ports, String name) throws CniException {
    if (ports.json().path(name).isString()) {
      Matcher text = PORT.matcher(ports.text(name).orElse(""));
      int port = text.matches() ? Integer.parseInt(text.group(1)) : 0;
      if (port < PortMatch.FIRST_PORT || port > PortMatch.LAST_PORT) {
        throw ports.invalid(name, "must be a port from 1 to 65535 and a protocol: \"8080/tcp\"");
      }
      return new NamedPort(
          protocol(ports, name, text.group(2) == null ? "tcp" : text.group(2)), port);
    }
    ConfigObject port =
        ports.object(name).orElseThrow(() -> ports.invalid(name, "must have a port"));
    int number =
        port.integer("port", PortMatch.FIRST_PORT, PortMatch.LAST_PORT)
            .orElseThrow(() -> port.invalid("port", "is missing: give its number"));
    return new NamedPort(protocol(port, "protocol", port.text("protocol").orElse("TCP")), number);
  }

  private static Protocol protocol(ConfigObject view, String key, String text) throws CniException {
    return Arrays.stream(Protocol.values())
        .filter(it -> it.hasPorts() && it.name().equalsIgnoreCase(text))
        .findFirst()
        .orElseThrow(
            () -> view.invalid(key, "has no protocol with ports: it must be TCP, UDP or SCTP"));
  }
}
