package cni.cli;

import java.io.IOException;
import java.nio.file.Path;

/** The jlink image that this process runs from. */
final class Image {
  private Image() {}

  /** Returns the launcher, which starts the command and, under a plugin's name, the plugin. */
  static Path launcher() {
    return Path.of(System.getProperty("java.home"), "bin", "cni");
  }

  /** Returns whether a file is the launcher or a link to it. */
  static boolean isLauncher(Path file) {
    try {
      return file.toRealPath().equals(launcher().toRealPath());
    } catch (IOException e) {
      return false; // the launcher or the file does not exist
    }
  }

  /** Returns the version of this build, or "unknown". */
  static String version() {
    var descriptor = Image.class.getModule().getDescriptor();
    return descriptor == null ? "unknown" : descriptor.rawVersion().orElse("unknown");
  }
}
