package cni.runtime;

import java.util.List;
import java.util.Locale;

/** The places that plugins come from. A host puts them in an order; the first that has one wins. */
public enum PluginSource {
  /** Modules, or jars on the class path, that the program itself was started with. */
  BUILT_IN,
  /** Directories of modules, by default below /opt/cni/modules: see {@link PluginOrigin}. */
  DIRECTORY,
  /** Executables on the plugin path. */
  EXECUTABLE;

  /** The order where the host says nothing: in the process before out of it. */
  public static final List<PluginSource> DEFAULT_ORDER = List.of(BUILT_IN, DIRECTORY, EXECUTABLE);

  /** As it is written on command lines: {@code built-in}, {@code directory}, {@code executable}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /**
   * Reads what {@link #toString} writes.
   *
   * @throws IllegalArgumentException if it is something else
   */
  public static PluginSource parse(String text) {
    for (PluginSource source : values()) {
      if (source.toString().equals(text)) {
        return source;
      }
    }
    throw new IllegalArgumentException(text + " is none of " + List.of(values()));
  }
}
