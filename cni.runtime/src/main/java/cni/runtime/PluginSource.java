// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Objects.requireNonNull;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/** The kinds of places that plugins come from; see {@link CniBuilder#searchOrder}. */
public enum PluginSource {
  /** Modules, or jars on the class path, that the program itself was started with. */
  BUILT_IN,
  /** Plugin directories with modules, by default below {@code /opt/cni/modules}. */
  DIRECTORY,
  /** Executables on the plugin path, by default in {@code /opt/cni/bin}. */
  EXECUTABLE;

  /** The default search order: plugins that run in this process before executables. */
  public static final List<PluginSource> DEFAULT_ORDER = List.of(BUILT_IN, DIRECTORY, EXECUTABLE);

  /**
   * Returns the form for command lines: {@code built-in}, {@code directory}, {@code executable}.
   */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /**
   * Parses the form that {@link #toString} returns.
   *
   * @throws IllegalArgumentException if the text is something else
   */
  public static PluginSource parse(String text) {
    requireNonNull(text, "text");
    for (PluginSource source : values()) {
      if (source.toString().equals(text)) {
        return source;
      }
    }
    throw new IllegalArgumentException(
        "%s is none of %s"
            .formatted(
                text,
                Arrays.stream(values()).map(Object::toString).collect(Collectors.joining(", "))));
  }
}
