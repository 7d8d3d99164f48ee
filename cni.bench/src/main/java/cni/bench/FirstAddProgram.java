// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.api.Attachment;
import cni.runtime.Cni;
import java.nio.file.Path;

/** A program that attaches one container and ends; its run time is measured. */
public final class FirstAddProgram {
  private FirstAddProgram() {}

  /**
   * Attaches the container.
   *
   * @param arguments the directory of configurations, which is also the cache; the network; the
   *     container's id and namespace
   */
  public static void main(String... arguments) throws Exception {
    Path directory = Path.of(arguments[0]);
    try (Cni cni = Cni.builder().networks(directory).cache(directory).build()) {
      cni.network(arguments[1]).add(Attachment.of(arguments[2], Path.of(arguments[3]), "eth0"));
    }
  }
}
