package cni.netlink.lab;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The plugins of containernetworking/plugins, executables written in Go: those of the directory
 * that the environment variable CNI_REFERENCE_PLUGINS names, or of Debian's package
 * containernetworking-plugins.
 */
public final class ReferencePlugins {
  private static final String VARIABLE = "CNI_REFERENCE_PLUGINS";

  private ReferencePlugins() {}

  /** Their directory. */
  public static Path directory() {
    String named = System.getenv(VARIABLE);
    return Path.of(named == null ? "/usr/lib/cni" : named);
  }

  static boolean areInstalled() {
    return Files.isExecutable(directory().resolve("bridge"));
  }

  static String description() {
    return "the reference plugins in " + directory() + " (" + VARIABLE + ")";
  }
}
