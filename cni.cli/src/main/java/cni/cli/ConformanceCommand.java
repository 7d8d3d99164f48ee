package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.conformance.Conformance;
import cni.conformance.ExecutableSubject;
import cni.conformance.ModuleSubject;
import cni.conformance.Report;
import cni.conformance.Setting;
import cni.conformance.Subject;
import cni.exec.PluginPath;
import cni.runtime.Cni;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code cni conformance}. */
@Command(
    name = "conformance",
    mixinStandardHelpOptions = true,
    description = {
      "Examines plugins: each check is a requirement of the CNI specification, made on hosts and"
          + " containers that exist only for it. Needs root; changes nothing on this machine.",
      "A plugin is named by its type, as in a network's configuration, or by the path of an"
          + " executable, which may be written in any language.",
      "The exit status is 1 if a check failed."
    })
final class ConformanceCommand implements Callable<Integer> {
  @Mixin private HostOptions host = new HostOptions();

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = {
        "The plugin configuration to examine it with; by default one that suits it, if its type is"
            + " one of ours or of the reference plugins. See docs/conformance.md."
      })
  private @Nullable Path config;

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      defaultValue = "text",
      description = "text, json, or junit for XML that build servers read; ${DEFAULT-VALUE}.")
  private String format = "text";

  @Option(
      names = "--patience",
      paramLabel = "SECONDS",
      defaultValue = "30",
      description = "How long a call of the plugin may take; ${DEFAULT-VALUE}.")
  private int patience = 30;

  @Parameters(arity = "1..*", paramLabel = "TYPE|PATH", description = "The plugins.")
  private List<String> plugins = List.of();

  @Override
  public Integer call() throws CniException, IOException {
    if (!List.of("text", "json", "junit").contains(format)) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER, "--format " + format + " is none of text, json, junit");
    }
    boolean passed = true;
    try (Cni cni = host.open()) {
      for (String plugin : plugins) {
        Report report = examine(plugin, cni);
        print(report);
        passed &= report.passed();
      }
    }
    return passed ? 0 : 1;
  }

  private Report examine(String plugin, Cni cni) throws CniException, IOException {
    boolean isPath = plugin.contains("/");
    Path file = Path.of(plugin).toAbsolutePath();
    String type = isPath ? String.valueOf(file.getFileName()) : plugin;
    List<Path> pluginPath = new ArrayList<>(host.executables());
    Subject subject;
    if (isPath) {
      if (!Files.isExecutable(file)) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER, plugin + " is not the path of an executable");
      }
      Path directory = file.getParent();
      if (directory != null) {
        pluginPath.addFirst(directory); // its delegates are usually beside it
      }
      subject = new ExecutableSubject(file, Duration.ofSeconds(patience));
    } else {
      subject = subject(type, cni, pluginPath);
    }
    return new Conformance(subject, setting(type), pluginPath).run();
  }

  private Subject subject(String type, Cni cni, List<Path> pluginPath) throws CniException {
    Duration time = Duration.ofSeconds(patience);
    var module = cni.plugins().module(type);
    if (module.isPresent()) {
      NetworkPlugin plugin = module.get();
      pluginPath.clear(); // so that its delegates are modules, too
      return new ModuleSubject(plugin, cni.plugins(), time);
    }
    Path file =
        new PluginPath(pluginPath)
            .find(type)
            .orElseThrow(
                () ->
                    new CniException(
                        ErrorCode.INVALID_PARAMETER,
                        "there is no plugin of type " + type + "; \"cni plugins\" lists them"));
    return new ExecutableSubject(file, time);
  }

  private Setting setting(String type) throws CniException, IOException {
    Path file = config;
    return file == null
        ? Setting.of(type)
        : Setting.parse(Json.parse(Files.readAllBytes(file), file.toString()));
  }

  private void print(Report report) {
    System.out.println(
        switch (format) {
          case "json" -> Json.pretty(report.json());
          case "junit" -> report.xml();
          default -> report.text();
        });
  }
}
