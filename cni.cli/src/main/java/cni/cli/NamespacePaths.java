package cni.cli;

import cni.netlink.ffm.NetNs;
import java.nio.file.Files;
import java.nio.file.Path;

/** How the command line names namespaces. */
final class NamespacePaths {
  private NamespacePaths() {}

  /**
   * The path that an argument means: a path, or the name of a namespace that {@code ip netns}
   * knows.
   */
  static Path resolve(String argument) {
    Path path = Path.of(argument).toAbsolutePath().normalize();
    boolean plainName = argument.indexOf('/') < 0 && !argument.startsWith(".");
    return plainName && Files.notExists(path) ? NetNs.named(argument) : path;
  }
}
