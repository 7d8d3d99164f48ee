// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.internal.FileOwnership;
import cni.api.internal.IoErrors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;

/** The jlink image that this process runs from. */
final class Image {
  private Image() {}

  /** Returns the image's directory. */
  static Path directory() {
    return Path.of(System.getProperty("java.home"));
  }

  /**
   * Returns the launcher, which starts the command and, under a plugin's name, the plugin: the
   * native one (src/main/c), or, in an image that was built without a C compiler, the script.
   */
  static Path launcher() {
    return directory().resolve("bin/cni");
  }

  /** Returns whether a file is the launcher or a link to it. */
  static boolean isLauncher(Path file) {
    return isSameFile(file, launcher());
  }

  /** Returns whether two paths lead to one file; false if one of them does not exist. */
  static boolean isSameFile(Path one, Path other) {
    try {
      return one.toRealPath().equals(other.toRealPath());
    } catch (IOException e) {
      return false;
    }
  }

  /**
   * Requires that the modules in the image's {@code plugins} directory, which are loaded like the
   * image's own, can be changed only by root and the user of this process.
   *
   * @throws CniException code 7 if others may change one, or if that cannot be decided
   */
  static void requireTrustedPlugins() throws CniException {
    Path plugins = directory().resolve("plugins");
    if (!Files.isDirectory(plugins)) {
      return;
    }
    Optional<String> objection;
    try (Stream<Path> files = Files.list(plugins)) {
      objection = FileOwnership.objectionToPath(plugins);
      for (Path file : (Iterable<Path>) files::iterator) {
        objection = objection.isPresent() ? objection : FileOwnership.objectionToPath(file);
      }
    } catch (IOException e) {
      throw new CniException(ErrorCode.INVALID_CONFIG, IoErrors.describe(e), e);
    }
    if (objection.isPresent()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          objection.get()
              + ": others could replace the plugin; make it root's, with mode 0755 or 0644");
    }
  }

  /** Returns the version of this build, or "unknown". */
  static String version() {
    var descriptor = Image.class.getModule().getDescriptor();
    return descriptor == null ? "unknown" : descriptor.rawVersion().orElse("unknown");
  }
}
