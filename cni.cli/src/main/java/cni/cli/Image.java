package cni.cli;

import java.io.IOException;
import java.nio.file.Path;

/** The jlink image that this runs from. */
final class Image {
  private Image() {}

  /** The file that starts the command and, under other names, plugins. */
  static Path launcher() {
    return Path.of(System.getProperty("java.home"), "bin", "cni");
  }

  /** Whether a file is the launcher or a link to it. */
  static boolean isLauncher(Path file) {
    try {
      return file.toRealPath().equals(launcher().toRealPath());
    } catch (IOException e) {
      return false; // there is no launcher, or no file
    }
  }

  /** What this is, in a few words. */
  static String version() {
    var descriptor = Image.class.getModule().getDescriptor();
    return descriptor == null ? "unknown" : descriptor.rawVersion().orElse("unknown");
  }
}
