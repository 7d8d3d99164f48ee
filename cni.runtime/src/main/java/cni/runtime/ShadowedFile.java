// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Objects.requireNonNull;

import java.nio.file.Path;

/**
 * A file of the configuration directory that is not used, because another one defines a network of
 * the same name. Its text form is a sentence for display.
 *
 * @param network the network's name
 * @param file the file that is not used
 * @param used the file that is used
 */
public record ShadowedFile(String network, Path file, Path used) {
  /** Checks that no argument is null. */
  public ShadowedFile {
    requireNonNull(network, "network");
    requireNonNull(file, "file");
    requireNonNull(used, "used");
  }

  @Override
  public String toString() {
    return "network %s is defined by %s, which is used, and by %s, which is not: rename one of them"
        .formatted(network, used, file);
  }
}
