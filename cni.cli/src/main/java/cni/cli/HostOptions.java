package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.exec.Diagnostics;
import cni.exec.PluginPath;
import cni.runtime.Cni;
import cni.runtime.PluginSource;
import java.nio.file.Path;
import java.time.Duration;
import java.time.format.DateTimeParseException;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/**
 * Options that say where things are on the host. Their defaults come from cnitool's environment.
 */
final class HostOptions {
  @Option(
      names = "--networks",
      paramLabel = "DIR",
      description = "Network configurations; NETCONFPATH, or /etc/cni/net.d.")
  private Path networks = Environment.get("NETCONFPATH").map(Path::of).orElse(Cni.DEFAULT_NETWORKS);

  @Option(
      names = "--path",
      paramLabel = "DIRS",
      description = "Plugin executables, separated by colons; CNI_PATH, or /opt/cni/bin.")
  private String path = Environment.get("CNI_PATH").orElseGet(Cni.DEFAULT_EXECUTABLES::toString);

  @Option(
      names = "--modules",
      paramLabel = "DIRS",
      description = {
        "Directories with a directory of modules for each plugin, separated by colons;"
            + " CNI_MODULE_PATH, or /opt/cni/modules."
      })
  private String modules = PluginPlaces.modulePath();

  @Option(
      names = "--native-access",
      paramLabel = "NAME",
      split = ",",
      description =
          "Let the plugin in this directory of modules call native code; CNI_NATIVE_ACCESS.")
  private List<String> nativeAccess = PluginPlaces.nativeAccess();

  @Option(
      names = "--order",
      paramLabel = "PLACE",
      split = ",",
      converter = PluginPlaces.Reader.class,
      description = {
        "Where a plugin is looked for first, second, third; CNI_PLUGIN_ORDER, or"
            + " built-in,directory,executable. A place that is left out is not searched."
      })
  private List<PluginSource> order = List.of();

  @Option(
      names = "--cache",
      paramLabel = "DIR",
      defaultValue = "/var/lib/cni",
      description = "Results of attachments; ${DEFAULT-VALUE}.")
  private Path cache = Cni.DEFAULT_CACHE;

  @Option(
      names = "--host-netns",
      paramLabel = "PATH",
      description = "The namespace that is the host's side; by default the command's own.")
  private @Nullable Path hostNamespace;

  @Option(
      names = "--executable",
      paramLabel = "TYPE",
      description = "Have the executable serve this type even where there is a module.")
  private List<String> preferExecutables = List.of();

  @Option(
      names = "--timeout",
      paramLabel = "TIME",
      defaultValue = "2m",
      description = "How long an operation may take, such as 30s or 2m; ${DEFAULT-VALUE}.")
  private String timeout = "2m";

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
    return PluginPath.parse(path).directories();
  }

  private Cni.Builder builder() throws CniException {
    Cni.Builder builder =
        Cni.builder()
            .networks(networks)
            .executables(executables())
            .pluginDirectories(PluginPlaces.directories(modules))
            .nativeAccess(nativeAccess.toArray(String[]::new))
            .order(PluginPlaces.order(order))
            .cache(cache)
            .timeout(parse(timeout))
            .preferExecutables(preferExecutables.toArray(String[]::new))
            .diagnostics(Diagnostics.STANDARD_ERROR);
    if (Environment.get("CNI_NETNS_OVERRIDE").filter(it -> it.matches("(?i)1|true")).isPresent()) {
      builder.sameNamespace();
    }
    if (hostNamespace != null) {
      builder.hostNamespace(NamespacePaths.resolve(hostNamespace.toString()));
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
