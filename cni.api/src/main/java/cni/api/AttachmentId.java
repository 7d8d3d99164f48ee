// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import org.jspecify.annotations.Nullable;

/**
 * The key of an attachment, unique within a network.
 *
 * @param containerId the container's id (CNI_CONTAINERID)
 * @param interfaceName the name of the interface inside the container (CNI_IFNAME)
 */
public record AttachmentId(String containerId, String interfaceName) {
  /** Requires both names. */
  public AttachmentId {
    requireNonNull(containerId, "containerId");
    requireNonNull(interfaceName, "interfaceName");
  }

  // Written by hand: the first generated equals or hashCode that a process calls costs 17 % of the
  // time of "cni add" (docs/decisions/0005-image-start.md).

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof AttachmentId id
        && containerId.equals(id.containerId)
        && interfaceName.equals(id.interfaceName);
  }

  @Override
  public int hashCode() {
    return 31 * containerId.hashCode() + interfaceName.hashCode();
  }
}
