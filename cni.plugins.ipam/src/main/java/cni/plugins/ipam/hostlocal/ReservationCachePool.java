// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Optional;
import java.util.SequencedMap;

/**
 * The idle caches of this process, by reservation directory. A thread that has locked a directory
 * acquires its cache and releases it before it unlocks the directory, so a cache is never shared.
 */
final class ReservationCachePool implements AutoCloseable {
  /** Bounds the memory, and the watches: fs.inotify.max_user_watches is at least 8,192. */
  private static final int MAX_CACHES = 512;

  /** In order of last use, the longest unused first. */
  private final SequencedMap<Path, ReservationCache> idle = new LinkedHashMap<>();

  private final int maxRecycledFiles;
  private boolean closed;

  /**
   * Creates an empty pool.
   *
   * @param maxRecycledFiles how many files of released reservations each cache keeps for reuse
   */
  ReservationCachePool(int maxRecycledFiles) {
    this.maxRecycledFiles = maxRecycledFiles;
  }

  int maxRecycledFiles() {
    return maxRecycledFiles;
  }

  /** Removes the cache of a directory from the pool and returns it; absent if there is none. */
  synchronized Optional<ReservationCache> acquire(Path directory) {
    return Optional.ofNullable(idle.remove(directory));
  }

  /** Returns a cache to the pool; a full pool closes the one that was unused for longest. */
  synchronized void release(Path directory, ReservationCache cache) {
    if (closed) {
      cache.close();
      return;
    }
    idle.put(directory, cache);
    if (idle.size() > MAX_CACHES) {
      idle.pollFirstEntry().getValue().close();
    }
  }

  @Override
  public synchronized void close() {
    closed = true;
    idle.values().forEach(ReservationCache::close);
    idle.clear();
  }
}
