// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.CniException;
import cni.api.Deadline;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The directory of a network's reservations, and how this process accesses it.
 *
 * @param path the directory, which need not exist
 * @param lock locks it
 * @param cachePool as for {@link ReservationStore#open}
 */
record ReservationDirectory(
    Path path, DirectoryLock lock, Optional<ReservationCachePool> cachePool) {
  /** See {@link ReservationStore#open}. */
  ReservationStore open(Deadline deadline) throws CniException {
    return ReservationStore.open(path, lock, cachePool, deadline);
  }

  /** See {@link ReservationStore#openIfPresent}. */
  Optional<ReservationStore> openIfPresent(Deadline deadline) throws CniException {
    return ReservationStore.openIfPresent(path, lock, cachePool, deadline);
  }
}
