package cni.plugins.ipam.hostlocal;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Optional;
import java.util.SequencedMap;

/**
 * What this process knows of the directories of reservations that it has used. What is known of one
 * belongs to whoever has its lock, and is put back before that is given back.
 */
final class ReservationCachePool implements AutoCloseable {
  /** Each costs an inotify instance, of which a user usually may have 128. */
  private static final int MAX_CACHES = 32;

  private final SequencedMap<Path, ReservationCache> idle = new LinkedHashMap<>();
  private boolean closed;

  /** Hands out what is known of a directory. */
  synchronized Optional<ReservationCache> acquire(Path directory) {
    return Optional.ofNullable(idle.remove(directory));
  }

  /** Takes it back; the directory that was not used for the longest time is forgotten. */
  synchronized void release(Path directory, ReservationCache leases) {
    if (closed) {
      leases.close();
      return;
    }
    idle.put(directory, leases);
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
