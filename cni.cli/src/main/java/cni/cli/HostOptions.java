package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.exec.PluginPath;
import cni.exec.StderrHandler;
import cni.runtime.Cni;
import cni.runtime.PluginSource;
import java.nio.file.Path;
import java.time.Duration;
import java.time.format.DateTimeParseException;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * Options that say where things are on the host. Their defaults come from cnitool's environment.
 */
final class HostOptions {
  private final OptionSpec networks =
      OptionSpec.builder("--networks")
          .type(Path.class)
          .initialValue(
              EnvironmentVariables.get("NETCONFPATH").map(Path::of).orElse(Cni.DEFAULT_NETWORKS))
          .paramLabel("DIR")
          .description("Network configurations; NETCONFPATH, or /etc/cni/net.d.")
          .build();

  private final OptionSpec path =
      OptionSpec.builder("--path")
          .type(String.class)
          .initialValue(
              EnvironmentVariables.get("CNI_PATH").orElseGet(Cni.DEFAULT_EXECUTABLES::toString))
          .paramLabel("DIRS")
          .description("Plugin executables, separated by colons; CNI_PATH, or /opt/cni/bin.")
          .build();

  private final OptionSpec modules =
      OptionSpec.builder("--modules")
          .type(String.class)
          .initialValue(PluginLocations.modulePath())
          .paramLabel("DIRS")
          .description(
              "Directories with a directory of modules for each plugin, separated by colons;"
                  + " CNI_MODULE_PATH, or /opt/cni/modules.")
          .build();

  private final OptionSpec nativeAccess =
      Subcommand.listOption("--native-access")
          .initialValue(PluginLocations.nativeAccess())
          .splitRegex(",")
          .paramLabel("NAME")
          .description(
              "Let the plugin in this directory of modules call native code; CNI_NATIVE_ACCESS.")
          .build();

  private final OptionSpec searchOrder =
      Subcommand.listOption("--order")
          .auxiliaryTypes(PluginSource.class)
          .converters(PluginLocations::parseSource)
          .splitRegex(",")
          .paramLabel("PLACE")
          .description(
              "Where a plugin is looked for first, second, third; CNI_PLUGIN_ORDER, or"
                  + " built-in,directory,executable. A place that is left out is not searched.")
          .build();

  private final OptionSpec cache =
      OptionSpec.builder("--cache")
          .type(Path.class)
          .defaultValue(Cni.DEFAULT_CACHE.toString())
          .paramLabel("DIR")
          .description("Results of attachments; ${DEFAULT-VALUE}.")
          .build();

  private final OptionSpec hostNamespace =
      OptionSpec.builder("--host-netns")
          .type(Path.class)
          .paramLabel("PATH")
          .description("The namespace that is the host's side; by default the command's own.")
          .build();

  private final OptionSpec preferExecutables =
      Subcommand.listOption("--executable")
          .paramLabel("TYPE")
          .description("Have the executable serve this type even where there is a module.")
          .build();

  private final OptionSpec timeout =
      OptionSpec.builder("--timeout")
          .type(String.class)
          .defaultValue("2m")
          .paramLabel("TIME")
          .description("How long an operation may take, such as 30s or 2m; ${DEFAULT-VALUE}.")
          .build();

  /** Options of a command. */
  HostOptions(CommandSpec command) {
    List.of(
            networks,
            path,
            modules,
            nativeAccess,
            searchOrder,
            cache,
            hostNamespace,
            preferExecutables,
            timeout)
        .forEach(command::addOption);
  }

  /** The networks and plugins that the options describe, for a command that ends at once. */
  Cni open() throws CniException {
    return builder().oneShot().build();
  }

  /** The same for a command that stays as long as what it has attached. */
  Cni openResident() throws CniException {
    return builder().build();
  }

  /** The directories of executables. */
  List<Path> executables() {
    return PluginPath.parse(path.getValue()).directories();
  }

  private Cni.Builder builder() throws CniException {
    List<String> mayBeNative = nativeAccess.getValue();
    List<String> executable = preferExecutables.getValue();
    Cni.Builder builder =
        Cni.builder()
            .networks(networks.getValue())
            .executables(executables())
            .pluginDirectories(PluginLocations.directories(modules.getValue()))
            .nativeAccess(mayBeNative.toArray(String[]::new))
            .searchOrder(PluginLocations.order(searchOrder.getValue()))
            .cache(cache.getValue())
            .timeout(parse(timeout.getValue()))
            .preferExecutables(executable.toArray(String[]::new))
            .stderrHandler(StderrHandler.TO_STDERR);
    if (EnvironmentVariables.get("CNI_NETNS_OVERRIDE")
        .filter(it -> it.matches("(?i)1|true"))
        .isPresent()) {
      builder.allowHostNamespace();
    }
    @Nullable Path host = hostNamespace.getValue();
    if (host != null) {
      builder.hostNamespace(NamespacePaths.resolve(host.toString()));
    }
    return builder;
  }

  private static Duration parse(String text) throws CniException {
    try {
      return Duration.parse("PT" + text);
    } catch (DateTimeParseException e) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER, "--timeout " + text + " is not a time like 30s or 2m", e);
    }
  }
}
