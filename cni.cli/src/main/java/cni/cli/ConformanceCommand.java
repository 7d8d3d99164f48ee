// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.conformance.Conformance;
import cni.conformance.ConformanceReport;
import cni.conformance.ExecutableUnderTest;
import cni.conformance.ModuleUnderTest;
import cni.conformance.PluginUnderTest;
import cni.conformance.SubjectConfig;
import cni.exec.PluginPath;
import cni.runtime.Cni;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code cni conformance}. */
final class ConformanceCommand extends Subcommand {
  private final HostOptions host = new HostOptions(spec());
  private final OptionSpec config =
      OptionSpec.builder("--config")
          .type(Path.class)
          .paramLabel("FILE")
          .description(
              "Plugin configuration for the checks; default: the one in the plugin's module, or a built-in"
                  + " one for plugins of this project and the reference plugins. See"
                  + " docs/conformance.md.")
          .build();
  private final OptionSpec format =
      choiceOption(List.of("text", "json", "junit"), "--format")
          .defaultValue("text")
          .paramLabel("FORMAT")
          .description(
              "Output format: text, json, or junit (XML for build servers); default: ${DEFAULT-VALUE}.")
          .build();
  private final OptionSpec callTimeout =
      OptionSpec.builder("--patience")
          .type(int.class)
          .defaultValue("30")
          .paramLabel("SECONDS")
          .description("Time limit for each call of the plugin; default: ${DEFAULT-VALUE}.")
          .build();
  private final PositionalParamSpec plugins =
      parameters(1, "TYPE|PATH").description("Plugins to check.").build();

  ConformanceCommand() {
    super(
        "Check plugins against the CNI specification.",
        "A plugin is given by its type, as in a network configuration, or by the path of an executable"
            + " written in any language. The checks run in temporary network namespaces and need root. The"
            + " exit status is 1 if a check failed.");
    spec().addOption(config).addOption(format).addOption(callTimeout).addPositional(plugins);
  }

  @Override
  public Integer call() {
    return InterruptOnShutdown.run("cni-conformance-cleanup", () -> checkAll(format.getValue()));
  }

  private int checkAll(String form) throws CniException, IOException {
    boolean passed = true;
    try (Cni cni = host.open()) {
      for (String plugin : plugins.<List<String>>getValue()) {
        ConformanceReport report = check(plugin, cni);
        print(report, form);
        passed &= report.passed();
      }
    }
    return passed ? 0 : 1;
  }

  private ConformanceReport check(String plugin, Cni cni) throws CniException, IOException {
    boolean isPath = plugin.contains("/");
    Path file = Path.of(plugin).toAbsolutePath();
    String type = isPath ? String.valueOf(file.getFileName()) : plugin;
    List<Path> pluginPath = new ArrayList<>(host.executables());
    PluginUnderTest subject;
    if (isPath) {
      if (!Files.isExecutable(file)) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER, plugin + " is not the path of an executable");
      }
      Path directory = file.getParent();
      if (directory != null) {
        pluginPath.addFirst(directory); // delegates are usually in the same directory
      }
      subject = new ExecutableUnderTest(file, callTimeout());
    } else {
      subject = subject(type, cni, pluginPath);
    }
    SubjectConfig checked = isPath ? subjectConfig(type) : subjectConfig(type, cni);
    return check(new Conformance(subject, checked, pluginPath), type);
  }

  private static ConformanceReport check(Conformance conformance, String type) throws CniException {
    try (Progress progress = Progress.onStandardError()) {
      int all = conformance.checkCount();
      var done = new AtomicInteger();
      progress.show(type + ": 0 of " + all + " checks");
      return conformance.run(
          finding ->
              progress.show(
                  "%s: %d of %d checks, %s %s"
                      .formatted(
                          type, done.incrementAndGet(), all, finding.id(), finding.title())));
    }
  }

  private PluginUnderTest subject(String type, Cni cni, List<Path> pluginPath) throws CniException {
    Duration time = callTimeout();
    var module = cni.plugins().findInProcess(type);
    if (module.isPresent()) {
      NetworkPlugin plugin = module.get();
      pluginPath.clear(); // delegates are modules, too
      return new ModuleUnderTest(plugin, cni.plugins(), time);
    }
    Optional<Path> file = new PluginPath(pluginPath).find(type);
    if (file.isEmpty()) {
      cni.plugins().find(type); // its error says why: unknown, or disabled for a reason
      throw new CniException(ErrorCode.INVALID_PARAMETER, "plugin " + type + " is no file");
    }
    return new ExecutableUnderTest(file.get(), time);
  }

  private Duration callTimeout() {
    return Duration.ofSeconds(callTimeout.<Integer>getValue());
  }

  private SubjectConfig subjectConfig(String type, Cni cni) throws CniException, IOException {
    return config.getValue() == null ? SubjectConfig.of(type, cni.plugins()) : subjectConfig(type);
  }

  private SubjectConfig subjectConfig(String type) throws CniException, IOException {
    @Nullable Path file = config.getValue();
    return file == null
        ? SubjectConfig.of(type)
        : SubjectConfig.parse(Json.parse(Files.readAllBytes(file), file.toString()));
  }

  private static void print(ConformanceReport report, String form) {
    switch (form) {
      case "json" -> Json.print(report.json(), System.out);
      case "junit" -> printUtf8(report.xml());
      default -> System.out.println(report.text());
    }
  }

  /** Prints in the encoding that the XML declares, whatever the locale. */
  private static void printUtf8(String xml) {
    byte[] bytes = (xml + "\n").getBytes(StandardCharsets.UTF_8);
    System.out.write(bytes, 0, bytes.length);
    System.out.flush();
  }
}
