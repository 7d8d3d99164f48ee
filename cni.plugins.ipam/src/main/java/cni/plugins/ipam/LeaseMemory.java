package cni.plugins.ipam;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Optional;
import java.util.SequencedMap;

/**
 * What this process knows of the directories of reservations that it has used. What is known of one
 * belongs to whoever has its lock, and is put back before that is given back.
 */
final class LeaseMemory implements AutoCloseable {
  /** Each costs an inotify instance, of which a user usually may have 128. */
  private static final int MOST = 32;

  private final SequencedMap<Path, KnownLeases> known = new LinkedHashMap<>();
  private boolean closed;

  /** Hands out what is known of a directory. */
  synchronized Optional<KnownLeases> take(Path directory) {
    return Optional.ofNullable(known.remove(directory));
  }

  /** Takes it back; the directory that was not used for the longest time is forgotten. */
  synchronized void put(Path directory, KnownLeases leases) {
    if (closed) {
      leases.close();
      return;
    }
    known.put(directory, leases);
    if (known.size() > MOST) {
      known.pollFirstEntry().getValue().close();
    }
  }

  @Override
  public synchronized void close() {
    closed = true;
    known.values().forEach(KnownLeases::close);
    known.clear();
  }
}
