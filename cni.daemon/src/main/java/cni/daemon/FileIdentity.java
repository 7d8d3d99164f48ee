// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;

/**
 * The file that a path leads to, stat(2).
 *
 * @param device its st_dev
 * @param inode its st_ino
 */
record FileIdentity(long device, long inode) {
  /**
   * Returns the identity of the file that a path leads to, of the namespace for a path like
   * /proc/self/ns/net.
   *
   * @throws IOException if there is no such file
   */
  static FileIdentity of(Path path) throws IOException {
    Map<String, Object> attributes = Files.readAttributes(path, "unix:dev,ino");
    return new FileIdentity(number(attributes, "dev"), number(attributes, "ino"));
  }

  private static long number(Map<String, Object> attributes, String name) {
    return ((Number) Objects.requireNonNull(attributes.get(name))).longValue();
  }
}
