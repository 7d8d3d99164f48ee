// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.exec.PluginPath;
import cni.runtime.Cni;
import cni.runtime.CniBuilder;
import cni.runtime.PluginSource;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import picocli.CommandLine;

/**
 * Where plugins are looked for according to the environment. The command's options take precedence;
 * plugins that run as executables have only the environment.
 */
final class PluginLocations {
  /** The words for sources of plugins. */
  static final List<String> SOURCES = List.of("built-in", "directory", "executable");

  private PluginLocations() {}

  /** Returns the module directories (CNI_MODULE_PATH, or the default), separated by colons. */
  static String modulePath() {
    return EnvironmentVariables.get("CNI_MODULE_PATH")
        .orElseGet(Cni.DEFAULT_PLUGIN_DIRECTORY::toString);
  }

  /** Returns the absolute paths of directories that are separated by colons. */
  static List<Path> directories(String path) {
    return PluginPath.parse(path).directories().stream()
        .map(it -> Invocation.resolve(it.toString()))
        .toList();
  }

  /** Returns the names of plugin directories that may call native code (CNI_NATIVE_ACCESS). */
  static List<String> nativeAccess() {
    return commaSeparated("CNI_NATIVE_ACCESS");
  }

  /** Sets the module directories and native access from the environment. */
  static CniBuilder configure(CniBuilder builder) {
    return builder
        .pluginDirectories(directories(modulePath()).toArray(Path[]::new))
        .nativeAccess(nativeAccess().toArray(String[]::new));
  }

  /**
   * Returns the search order: the one given, or CNI_PLUGIN_ORDER, or the default.
   *
   * @param given may be empty
   * @throws CniException code 4 if the variable names an unknown source
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

  /** Splits a variable, without regard to spaces, empty words and repetitions. */
  private static List<String> commaSeparated(String variable) {
    return EnvironmentVariables.get(variable)
        .map(it -> Stream.of(it.split(",", -1)).map(String::strip).filter(word -> !word.isEmpty()))
        .map(words -> words.distinct().toList())
        .orElse(List.of());
  }

  /** Converts an item of {@code --order} for picocli. */
  static PluginSource parseSource(String word) {
    try {
      return PluginSource.parse(word);
    } catch (IllegalArgumentException e) {
      throw new CommandLine.TypeConversionException(e.getMessage());
    }
  }
}
