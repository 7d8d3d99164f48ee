// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.Attachment;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.util.Optional;

/** What exists of an attachment that is in the cache: its namespace and its interface. */
public enum AttachmentPresence {
  /** The namespace and the interface exist. */
  PRESENT,

  /** Nothing exists at the namespace's path, or it is not a network namespace. */
  NAMESPACE_GONE,

  /** The namespace exists and does not have the attachment's interface. */
  INTERFACE_GONE,

  /** The cache does not name the namespace, or it cannot be examined: no permission. */
  UNKNOWN;

  /**
   * Examines an attachment: opens its namespace and asks the kernel for its interface.
   *
   * @param interfaceName the interface in the container, {@link CachedAttachment#interfaceName}
   */
  static AttachmentPresence of(Attachment attachment, String interfaceName) {
    if (attachment.namespace().isEmpty()) {
      return UNKNOWN;
    }
    try {
      Optional<NetNs> namespace = NetNs.openIfPresent(attachment.namespace().get());
      return namespace.isEmpty() ? NAMESPACE_GONE : inNamespace(namespace.get(), interfaceName);
    } catch (IOException e) {
      return UNKNOWN;
    }
  }

  private static AttachmentPresence inNamespace(NetNs opened, String interfaceName)
      throws IOException {
    try (NetNs namespace = opened;
        RouteSocket socket = RouteSocket.open(namespace)) {
      return socket.link(interfaceName).isPresent() ? PRESENT : INTERFACE_GONE;
    }
  }
}
