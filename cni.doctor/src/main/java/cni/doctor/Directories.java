// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import java.util.stream.Stream;

/** Listing of directories that need not exist. */
final class Directories {
  private Directories() {}

  /**
   * Returns whether a directory exists.
   *
   * @throws IOException if that is not known: AccessDeniedException if a directory above it may not
   *     be searched, for which {@link Files#isDirectory} returns false
   */
  static boolean exists(Path directory) throws IOException {
    try {
      return Files.readAttributes(directory, BasicFileAttributes.class).isDirectory();
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  /**
   * Returns the entries of a directory, sorted; none if it does not exist.
   *
   * @throws IOException if it cannot be read
   */
  static List<Path> entries(Path directory) throws IOException {
    if (!exists(directory)) {
      return List.of();
    }
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.sorted().toList();
    }
  }
}
