// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.CniException;
import cni.api.PluginConfig;
import cni.api.internal.BridgeName;
import cni.runtime.CachedAttachment;
import java.io.IOException;
import java.util.Optional;

/** The bridge of an attachment, if it was deleted. */
final class MissingBridge {
  private MissingBridge() {}

  /** Returns that the bridge of an attachment does not exist; empty if it does, or has none. */
  static Optional<PathFinding> of(NamespaceView host, CachedAttachment attachment)
      throws IOException {
    Optional<String> name = name(attachment);
    return name.isEmpty() || host.routes().link(name.get()).isPresent()
        ? Optional.empty()
        : Optional.of(
            new PathFinding(
                PathCause.INTERFACE_GONE,
                "bridge %s of network %s does not exist any more"
                    .formatted(name.get(), attachment.network()),
                "cni repair " + attachment.network()));
  }

  private static Optional<String> name(CachedAttachment attachment) {
    try {
      for (PluginConfig plugin : attachment.config().plugins()) {
        if (plugin.type().equals("bridge")) {
          return Optional.of(BridgeName.of(plugin.view()));
        }
      }
    } catch (CniException e) {
      return Optional.empty(); // not stored by an old libcni, or invalid
    }
    return Optional.empty();
  }
}
