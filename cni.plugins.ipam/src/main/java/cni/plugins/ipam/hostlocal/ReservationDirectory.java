// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.AddressReport;
import cni.api.CniException;
import cni.api.Deadline;
import cni.plugins.ipam.range.RangeSets;
import java.nio.file.Files;
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

  /**
   * Reports the reservations, without the cache.
   *
   * @param ranges the ranges of the configuration
   * @throws CniException code 5 if the directory cannot be read, code 11 if the lock is held by
   *     others until the deadline
   */
  AddressReport report(RangeSets ranges, Deadline deadline) throws CniException {
    if (Files.notExists(path)) {
      return ReservationReport.ofNothing(ranges);
    }
    var files = new ReservationFiles(path);
    try (var _ = lock.acquire(files.lockFile(), deadline)) {
      return new ReservationReport(ranges, files).read();
    }
  }
}
