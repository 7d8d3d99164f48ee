package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.exec.PluginPath;
import cni.runtime.Cni;
import cni.runtime.PluginSource;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine;

/**
 * Where plugins are looked for, as the environment says it: for the command, whose options come
 * before it, and for plugins that run as executables, which have no options.
 */
final class PluginLocations {
  private PluginLocations() {}

  /** The directories of plugins that are modules (CNI_MODULE_PATH), as text. */
  static String modulePath() {
    return EnvironmentVariables.get("CNI_MODULE_PATH")
        .orElseGet(Cni.DEFAULT_PLUGIN_DIRECTORY::toString);
  }

  static Path[] directories(String modulePath) {
    return PluginPath.parse(modulePath).directories().toArray(Path[]::new);
  }

  /** The names of those that may call native code (CNI_NATIVE_ACCESS). */
  static List<String> nativeAccess() {
    return commaSeparated("CNI_NATIVE_ACCESS");
  }

  /** Has a host look for modules where the environment says. */
  static Cni.Builder configure(Cni.Builder builder) {
    return builder
        .pluginDirectories(directories(modulePath()))
        .nativeAccess(nativeAccess().toArray(String[]::new));
  }

  /**
   * The order of places: the one given, or CNI_PLUGIN_ORDER, or the default.
   *
   * @throws CniException code 4 if the variable names a place that does not exist
   */
  static PluginSource[] order(List<PluginSource> given) throws CniException {
    if (!given.isEmpty()) {
      return given.toArray(PluginSource[]::new);
    }
    List<String> words = commaSeparated("CNI_PLUGIN_ORDER");
    try {
      return words.isEmpty()
          ? PluginSource.DEFAULT_ORDER.toArray(PluginSource[]::new)
          : words.stream().map(PluginSource::parse).toArray(PluginSource[]::new);
    } catch (IllegalArgumentException e) {
      throw new CniException(ErrorCode.INVALID_PARAMETER, "CNI_PLUGIN_ORDER: " + e.getMessage(), e);
    }
  }

  private static List<String> commaSeparated(String variable) {
    return EnvironmentVariables.get(variable)
        .map(it -> List.of(it.split(",", -1)))
        .orElse(List.of());
  }

  /** A place, for picocli. */
  static PluginSource parseSource(String word) {
    try {
      return PluginSource.parse(word);
    } catch (IllegalArgumentException e) {
      throw new CommandLine.TypeConversionException(e.getMessage());
    }
  }
}
