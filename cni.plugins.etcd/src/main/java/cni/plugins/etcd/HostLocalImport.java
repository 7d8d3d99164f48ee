// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.plugins.ipam.hostlocal.ReservationReader;
import cni.plugins.ipam.hostlocal.ReservationReader.Reservations;
import java.net.InetAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Records the reservations of host-local's directory in etcd. Each attachment is imported by
 * itself: those that cannot be are reported after all others have been.
 */
final class HostLocalImport {
  private final StoreSession session;
  private final EtcdConfig config;
  private final Deadline deadline;
  private final List<String> refused = new ArrayList<>();

  HostLocalImport(StoreSession session, EtcdConfig config, Deadline deadline) {
    this.session = session;
    this.config = config;
    this.deadline = deadline;
  }

  /**
   * Imports a directory.
   *
   * @return the number of attachments that were not recorded before
   * @throws CniException code 7 if the directory is not one of host-local; code 11 if an address is
   *     held by another attachment; code 7 if one is in none of the ranges or names no attachment,
   *     or a file's name is no address and not one that host-local uses
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
    reservations
        .others()
        .forEach(
            it ->
                refused.add(
                    "file %s: its name is no address; remove it, or correct its name"
                        .formatted(Json.quote(it))));
    EtcdStore store = session.store();
    Map<AttachmentId, Set<InetAddress>> known = new HashMap<>();
    store
        .readHandles(deadline)
        .forEach(it -> known.put(it.attachment(), Set.copyOf(it.addressList())));
    int imported = 0;
    ErrorCode code = ErrorCode.INVALID_CONFIG;
    for (Map.Entry<AttachmentId, List<InetAddress>> it : byAttachment.entrySet()) {
      Set<InetAddress> recorded = known.getOrDefault(it.getKey(), Set.of());
      if (recorded.containsAll(it.getValue())) {
        continue; // by an earlier import
      }
      try {
        record(it.getKey(), it.getValue());
        imported++;
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
          "imported attachments: %d; these reservations of %s were not imported: %s"
              .formatted(imported, directory, String.join("; ", refused)));
    }
    return imported;
  }

  private void record(AttachmentId id, List<InetAddress> addresses) throws CniException {
    config.ranges().requireContained(addresses);
    var request = AllocationRequest.record(id, addresses, Optional.empty());
    new HandleAllocator(session, config, request, deadline).allocate();
  }
}
