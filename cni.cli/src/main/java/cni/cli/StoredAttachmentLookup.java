// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Completes an attachment with stored values. Looks it up by its id; if the container id or
 * interface name was not given, uses the only stored attachment that matches the rest.
 */
final class StoredAttachmentLookup {
  private final Cni cni;
  private final Network network;

  /** The container id that was given; empty if it is to be looked up. */
  private final Optional<String> containerId;

  /** The interface name that was given; empty if it is to be looked up. */
  private final Optional<String> interfaceName;

  StoredAttachmentLookup(
      Cni cni, Network network, Optional<String> containerId, Optional<String> interfaceName) {
    this.cni = cni;
    this.network = network;
    this.containerId = containerId;
    this.interfaceName = interfaceName;
  }

  /**
   * Returns the attachment, with the stored values of what was not given; unchanged if none is
   * stored.
   *
   * @throws CniException code 4 if several match
   */
  Attachment complete(Attachment attachment) throws CniException {
    Optional<CachedAttachment> stored = network.cachedAttachment(attachment.id());
    if (stored.isEmpty() && !(containerId.isPresent() && interfaceName.isPresent())) {
      stored = findOnly(attachment.namespace());
    }
    if (stored.isEmpty()) {
      return attachment;
    }
    return stored
        .get()
        .completing(
            new Attachment(
                stored.get().attachment().id(),
                attachment.namespace(),
                attachment.args(),
                attachment.capabilityArgs()));
  }

  private Optional<CachedAttachment> findOnly(Optional<Path> namespace) throws CniException {
    List<CachedAttachment> found =
        cni.attachments().stream()
            .filter(it -> it.network().equals(network.name()))
            .filter(it -> matches(it.attachment().id()))
            .filter(
                it ->
                    namespace.isEmpty()
                        || StoredAttachmentOptions.isSamePath(namespace.get(), it.attachment()))
            .toList();
    if (found.size() > 1) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "network %s has several such attachments: %s; name one with --container-id and --ifname"
              .formatted(
                  network.name(),
                  found.stream()
                      .map(it -> it.attachment().id())
                      .map(it -> it.containerId() + "/" + it.interfaceName())
                      .collect(Collectors.joining(", "))));
    }
    return found.stream().findFirst();
  }

  private boolean matches(AttachmentId id) {
    return containerId.map(id.containerId()::equals).orElse(true)
        && interfaceName.map(id.interfaceName()::equals).orElse(true);
  }
}
