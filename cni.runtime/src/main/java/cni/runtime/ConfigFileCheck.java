// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigFault;
import cni.api.ConfigObject;
import cni.api.ConfigRecorder;
import cni.api.Json;
import cni.api.NetworkConfig;
import cni.api.PluginConfig;
import cni.api.PluginRole;
import cni.api.SpecVersion;
import cni.api.TraceContext;
import cni.runtime.ConfigProblem.Severity;
import cni.runtime.ValidationReport.FileReport;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import tools.jackson.databind.node.ObjectNode;

/**
 * The validation of one network configuration: of its syntax, of the keys of the specification, and
 * of each plugin's keys by the plugin.
 */
final class ConfigFileCheck {
  /** The name of a network whose name is missing or invalid, to validate the rest. */
  private static final String UNNAMED = "unnamed";

  private final CniState cni;
  private final Optional<Path> file;
  private final ConfigFindings findings = new ConfigFindings();
  private final Set<String> capabilities = new TreeSet<>();

  ConfigFileCheck(CniState cni, Optional<Path> file) {
    this.cni = cni;
    this.file = file;
  }

  private String source() {
    return file.map(Path::toString).orElse("the configuration");
  }

  /** Validates the text of the file. */
  FileReport run(byte[] text) {
    ObjectNode json;
    try {
      json = Json.parse(text, source());
    } catch (CniException e) {
      return unreadable(text, e);
    }
    return run(json, Optional.of(text));
  }

  /**
   * Validates a configuration.
   *
   * @param text the text of the file, for the lines
   */
  FileReport run(ObjectNode json, Optional<byte[]> text) {
    boolean single = NetworkConfig.isSingle(json);
    checkExtension(json, single);
    ObjectNode list = single ? NetworkConfig.asList(json) : json;
    var recorder = new ConfigRecorder();
    ConfigObject view = recorder.view(list, "");
    List<String> name = new ArrayList<>();
    findings.collect(
        ConfigFindings.WHOLE, recorder, () -> name.add(NetworkConfig.requireName(view)));
    String network = name.isEmpty() ? "" : name.getFirst();
    AdditionalPlugins additional = AdditionalPlugins.NONE;
    if (!single && !network.isEmpty() && file.isPresent()) {
      additional = AdditionalPlugins.read(file.get().resolveSibling(network), findings);
    }
    ObjectNode complete = complete(network, list, additional, recorder);
    Optional<SpecVersion> version =
        check(network.isEmpty() ? UNNAMED : network, recorder.view(complete, ""), recorder);
    if (!single) {
      new UnknownKeys(recorder, ConfigFindings.WHOLE, false, findings).reportTop(json);
    }
    var places = new ProblemPlaces(file, text, single, list.path("plugins").size(), additional);
    return new FileReport(
        file,
        network,
        findings.hasErrors() ? Optional.empty() : version,
        List.copyOf(capabilities),
        places.locate(findings.list()));
  }

  private ObjectNode complete(
      String network, ObjectNode list, AdditionalPlugins additional, ConfigRecorder recorder) {
    List<ObjectNode> complete = new ArrayList<>();
    findings.collect(
        ConfigFindings.WHOLE,
        recorder,
        () ->
            complete.add(
                NetworkConfig.complete(
                    network, recorder.view(list, ""), _ -> additional.plugins())));
    return complete.isEmpty() ? list : complete.getFirst();
  }

  /** Validates the keys of the network and those of its plugins; returns the version. */
  private Optional<SpecVersion> check(String name, ConfigObject view, ConfigRecorder recorder) {
    List<NetworkConfig> configs = new ArrayList<>();
    findings.collect(
        ConfigFindings.WHOLE, recorder, () -> configs.add(NetworkConfig.of(name, view)));
    if (configs.isEmpty()) {
      return Optional.empty();
    }
    NetworkConfig config = configs.getFirst();
    if (isMissing("cniVersion", view, recorder) && isMissing("cniVersions", view, recorder)) {
      findings.warning(
          "cniVersion",
          "",
          "is missing, which means "
              + SpecVersion.V0_1_0
              + ": state the version, such as \"cniVersion\": \"1.0.0\"");
    }
    checkOrder(config);
    CallContext context = cni.newContext(TraceContext.NONE);
    for (PluginConfig plugin : config.plugins()) {
      new PluginConfigCheck(config, plugin, cni, context, recorder, findings).run();
      addCapabilities(plugin);
    }
    return findings.hasErrors() ? Optional.empty() : negotiate(config);
  }

  private void checkOrder(NetworkConfig config) {
    List<Optional<PluginRole>> roles =
        config.plugins().stream().map(it -> role(it.type())).toList();
    var order = new ChainOrder(config, roles);
    for (int i = 0; i < roles.size(); i++) {
      order
          .at(i)
          .flatMap(CniException::fault)
          .ifPresent(it -> findings.error(it.key(), it.value(), it.reason()));
    }
  }

  private Optional<PluginRole> role(String type) {
    try {
      return cni.plugins().resolve(type).plugin().role();
    } catch (CniException _) {
      return Optional.empty(); // the plugin's check reports it
    }
  }

  private static boolean isMissing(String key, ConfigObject view, ConfigRecorder recorder) {
    return !view.has(key) && !recorder.isHidden(key);
  }

  private void addCapabilities(PluginConfig plugin) {
    try {
      capabilities.addAll(plugin.capabilities());
    } catch (CniException _) {
      // the plugin's check has reported it
    }
  }

  private Optional<SpecVersion> negotiate(NetworkConfig config) {
    try {
      return Optional.of(new VersionNegotiation(config, cni.plugins()).negotiate());
    } catch (CniException e) {
      findings.error("cniVersions", "", "have no version in common: " + e.getMessage());
      return Optional.empty();
    }
  }

  /** Warns of what libcni and the runtimes that use it read otherwise. */
  private void checkExtension(ObjectNode json, boolean single) {
    String name = file.map(it -> String.valueOf(it.getFileName())).orElse("");
    boolean isListFile = NetworkConfigDirectory.isList(name);
    if (single && isListFile) {
      findings.warning(
          "type",
          Json.excerpt(json.path("type")),
          "is that of a single plugin, which libcni does not read from a .conflist: put it in a"
              + " list \"plugins\"");
    }
    if (!single && !isListFile && json.has("plugins") && NetworkConfigDirectory.isSingle(name)) {
      findings.warning(
          "plugins", "", "is a list, which libcni only reads from a .conflist: rename the file");
    }
  }

  private FileReport unreadable(byte[] text, CniException error) {
    String characters = new String(text, StandardCharsets.UTF_8);
    JsonSyntaxCheck syntax = JsonSyntaxCheck.of(characters, source(), error);
    var problem =
        ProblemPlaces.problem(
            Severity.ERROR,
            file,
            syntax.line(),
            new ConfigFault(ConfigFindings.WHOLE, "", syntax.reason()));
    return new FileReport(file, "", Optional.empty(), List.of(), List.of(problem));
  }

  /** Returns the report of a file that cannot be read, or is none that is read. */
  static FileReport ofWholeFile(Severity severity, Path file, String reason) {
    var fault = new ConfigFault(ConfigFindings.WHOLE, "", reason);
    return new FileReport(
        Optional.of(file),
        "",
        Optional.empty(),
        List.of(),
        List.of(ProblemPlaces.problem(severity, Optional.of(file), OptionalInt.empty(), fault)));
  }
}
