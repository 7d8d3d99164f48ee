// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Result;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The attachments to a network that the cache and the journals know.
 *
 * @param cni the runtime
 * @param network the network's name
 */
record KnownAttachments(CniState cni, String network) {
  /** Returns all, also those of interrupted ADDs and updates. */
  Set<AttachmentId> all() throws CniException {
    Set<AttachmentId> ids = new LinkedHashSet<>();
    add(ids, cni.cache().list(Optional.empty()));
    add(ids, cni.journal().list());
    add(ids, cni.updates().list());
    return ids;
  }

  private void add(Set<AttachmentId> ids, List<CachedAttachment> found) {
    found.stream()
        .filter(it -> it.network().equals(network))
        .forEach(it -> ids.add(it.attachment().id()));
  }

  /**
   * Returns those in the cache that exist, or of which it is not known whether they do, including
   * those known only from the names of damaged files.
   */
  Set<AttachmentId> living() throws CniException {
    Set<AttachmentId> ids = new LinkedHashSet<>();
    Set<String> networks = new HashSet<>(cni.networkNames());
    for (CachedAttachment it : cni.cache().list(Optional.empty())) {
      networks.add(it.network());
      if (it.network().equals(network) && isAlive(it)) {
        ids.add(it.attachment().id());
      }
    }
    cni.cache().unlisted(network, networks).forEach(ids::addAll);
    return ids;
  }

  private static boolean isAlive(CachedAttachment cached) {
    return switch (cached.presence()) {
      case PRESENT, UNKNOWN -> true;
      case NAMESPACE_GONE -> false;
      case INTERFACE_GONE -> !hasInterface(cached);
    };
  }

  /**
   * Returns whether the ADD has made an interface of the attachment's name in the container: a
   * device with a driver in user space is none, and results before 0.3.0 do not list any.
   */
  private static boolean hasInterface(CachedAttachment cached) {
    try {
      return cached.result().interfaces().stream()
          .filter(it -> !it.isOnHost())
          .filter(it -> it.pciId().isEmpty() || !it.mac().isEmpty())
          .map(Result.Interface::name)
          .anyMatch(cached.attachment().interfaceName()::equals);
    } catch (CniException e) {
      return false; // the result cannot be read
    }
  }
}
