// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.plugins.etcd.HandleAllocator.Purpose;
import cni.plugins.ipam.hostlocal.ReservationReader;
import cni.plugins.ipam.hostlocal.ReservationReader.Reservations;
import java.net.InetAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Records the reservations of host-local's directory in etcd. Each attachment is imported by
 * itself: those that cannot be are reported after all others have been.
 */
final class HostLocalImport {
  private final Pool pool;
  private final EtcdConfig config;
  private final Deadline deadline;
  private final List<String> refused = new ArrayList<>();

  HostLocalImport(Pool pool, EtcdConfig config, Deadline deadline) {
    this.pool = pool;
    this.config = config;
    this.deadline = deadline;
  }

  /**
   * Imports a directory.
   *
   * @return the number of attachments that were not recorded before
   * @throws CniException code 7 if the directory is not one of host-local; code 11 if an address is
   *     held by another attachment; code 7 if one is in none of the ranges or names no attachment
   */
  int run(Path directory) throws CniException {
    Reservations reservations = ReservationReader.read(directory, deadline);
    Map<AttachmentId, List<InetAddress>> byAttachment = new LinkedHashMap<>();
    reservations
        .attachments()
        .forEach(
            (address, id) -> byAttachment.computeIfAbsent(id, _ -> new ArrayList<>()).add(address));
    reservations
        .unattributed()
        .forEach((address, why) -> refused.add(InetAddresses.format(address) + ": " + why));
    EtcdStore store = pool.store();
    List<AttachmentId> known =
        store.readHandles(store.keys().handles(store.network(), store.node()), deadline).stream()
            .map(Handle::attachment)
            .toList();
    int imported = 0;
    ErrorCode code = ErrorCode.INVALID_CONFIG;
    for (Map.Entry<AttachmentId, List<InetAddress>> it : byAttachment.entrySet()) {
      try {
        record(it.getKey(), it.getValue());
        imported += known.contains(it.getKey()) ? 0 : 1;
      } catch (CniException e) {
        if (e.is(ErrorCode.TRY_AGAIN_LATER)) {
          code = ErrorCode.TRY_AGAIN_LATER;
        }
        deadline.check("all reservations were imported");
        refused.add("container " + it.getKey().containerId() + ": " + e.getMessage());
      }
    }
    if (!refused.isEmpty()) {
      throw new CniException(
          code,
          "%d attachments were imported, and these reservations of %s were not: %s"
              .formatted(imported, directory, String.join("; ", refused)));
    }
    return imported;
  }

  private void record(AttachmentId id, List<InetAddress> addresses) throws CniException {
    config.ranges().requireContained(addresses);
    var request = new HandleAllocator.Request(id, addresses, Purpose.RECORD, Optional.empty());
    new HandleAllocator(pool.store(), pool.view(), config, request, deadline).allocate();
  }
}
