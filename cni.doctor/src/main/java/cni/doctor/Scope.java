// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.Attachment;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;

/**
 * The part of the host that is of interest.
 *
 * @param network the only network; absent for all
 * @param namespace the path of the only container's network namespace; absent for all
 */
public record Scope(Optional<String> network, Optional<Path> namespace) {
  /** The whole host. */
  public static final Scope HOST = new Scope(Optional.empty(), Optional.empty());

  /** Returns whether one of the networks is of interest. No network stands for the whole host. */
  boolean includes(Iterable<String> networks) {
    if (network.isEmpty() || !networks.iterator().hasNext()) {
      return true;
    }
    for (String it : networks) {
      if (network.get().equals(it)) {
        return true;
      }
    }
    return false;
  }

  /** Returns whether an attachment of a network is of interest. */
  public boolean includes(String ofNetwork, Attachment attachment) {
    return includes(Set.of(ofNetwork))
        && (namespace.isEmpty()
            || attachment.namespace().filter(it -> isSame(it, namespace.get())).isPresent());
  }

  /** Compares paths as the same file: container engines write /var/run, a link to /run. */
  private static boolean isSame(Path one, Path other) {
    return one.equals(other) || real(one).equals(real(other));
  }

  private static Path real(Path path) {
    try {
      return path.toRealPath();
    } catch (IOException e) {
      return path; // the namespace no longer exists
    }
  }
}
