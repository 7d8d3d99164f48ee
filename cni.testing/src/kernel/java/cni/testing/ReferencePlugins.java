// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The executables of containernetworking/plugins, written in Go: those of the directory that the
 * environment variable {@code CNI_REFERENCE_PLUGINS} names, or of Debian's package
 * containernetworking-plugins in /usr/lib/cni.
 */
public final class ReferencePlugins {
  private static final String VARIABLE = "CNI_REFERENCE_PLUGINS";

  private ReferencePlugins() {}

  /** Returns their directory, whether it exists or not. */
  public static Path directory() {
    String configured = System.getenv(VARIABLE);
    return Path.of(configured == null ? "/usr/lib/cni" : configured);
  }

  static boolean areInstalled() {
    return Files.isExecutable(directory().resolve("bridge"));
  }

  static String description() {
    return "the reference plugins in " + directory() + " (" + VARIABLE + ")";
  }
}
