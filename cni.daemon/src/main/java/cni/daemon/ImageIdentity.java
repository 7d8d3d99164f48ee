// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/**
 * Which build of the image a process belongs to: its lib/modules, of which a caller and the host
 * must have the same. Another version, or the same one built or installed again, has another file.
 *
 * @param file the file
 * @param size its length in bytes
 * @param modified its modification time in nanoseconds since 1970
 */
record ImageIdentity(FileIdentity file, long size, long modified) {
  /**
   * Returns the identity of an image.
   *
   * @param image the image's directory
   * @throws IOException if it has no lib/modules
   */
  static ImageIdentity of(Path image) throws IOException {
    Path modules = image.resolve("lib/modules");
    return new ImageIdentity(
        FileIdentity.of(modules),
        Files.size(modules),
        Files.getLastModifiedTime(modules).to(TimeUnit.NANOSECONDS));
  }
}
