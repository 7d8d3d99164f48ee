// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.internal.FileRecycler;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.file.InotifyWatch;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The content of a reservation directory, kept in memory by a resident process and kept current by
 * inotify(7). It makes an allocation take 0.05 ms instead of 127 ms at 20,000 reservations, which
 * is how long reading the directory takes.
 *
 * <p>A cache is in one of these states:
 *
 * <ul>
 *   <li><em>New</em>, after {@link #watch}: the watch is active, the index is empty. The thread
 *       that holds the directory's lock fills the index from all files, after which the cache is in
 *       use. The watch comes first, so a change during the reading is reported later.
 *   <li><em>In use</em> by the thread that holds the lock. The index is exact. Changes that this
 *       thread makes are announced by {@link #beforeChange} and {@link #afterChange}; their inotify
 *       events are ignored.
 *   <li><em>Idle</em> in the {@link ReservationCachePool}, after {@link #drain} and before the
 *       directory is unlocked. Other processes, the reference plugin among them, may change files.
 *   <li><em>In use again</em>, after {@link #pollChanges} by the next holder of the lock, which
 *       rereads only the files that changed. Inotify queues an event before the changing call
 *       returns, and all plugins change files under the lock only, so none can be missed.
 *   <li><em>Closed</em>: by the pool, or because events were lost (queue overflow, directory
 *       removed, renamed or replaced). The directory is then read again into a new cache.
 * </ul>
 */
final class ReservationCache implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  /** File systems that only this kernel changes, by their names in /proc/mounts. */
  private static final Set<String> LOCAL_FILE_SYSTEMS =
      Set.of(
          "bcachefs",
          "btrfs",
          "ext2",
          "ext3",
          "ext4",
          "f2fs",
          "jfs",
          "overlay",
          "ramfs",
          "tmpfs",
          "xfs",
          "zfs");

  private final ReservationIndex index = new ReservationIndex();
  private final Object directoryKey;
  private final InotifyWatch watch;
  private final Map<Integer, InetAddress> lastReserved = new HashMap<>();

  /** Files that another process changed and that have not been reread since. */
  private final Set<String> changed = new HashSet<>();

  /** Files that this thread changed, and whose content the index reflects. */
  private final Set<String> ownChanges = new HashSet<>();

  private final FileRecycler recycledFiles;

  private ReservationCache(
      Object directoryKey, InotifyWatch watch, Path directory, int maxRecycledFiles) {
    this.directoryKey = directoryKey;
    this.watch = watch;
    this.recycledFiles =
        new FileRecycler(directory, ReservationFiles.RECYCLED_PREFIX, maxRecycledFiles);
  }

  /**
   * Creates an empty cache that watches a locked directory.
   *
   * @param directoryKey the identity of the directory (device and inode), null if it has none
   * @param maxRecycledFiles how many files of released reservations are kept for reuse
   * @return absent if the directory cannot be watched; it is then read at each call
   */
  static Optional<ReservationCache> watch(
      Path directory, @Nullable Object directoryKey, int maxRecycledFiles) {
    if (directoryKey == null || !directory.getFileSystem().equals(FileSystems.getDefault())) {
      return Optional.empty();
    }
    try {
      if (!isLocal(directory)) {
        return Optional.empty(); // inotify does not report changes by other machines
      }
      return Optional.of(
          new ReservationCache(
              directoryKey, InotifyWatch.openShared(directory), directory, maxRecycledFiles));
    } catch (IOException e) {
      LOG.get()
          .log(
              System.Logger.Level.DEBUG,
              directory + " cannot be watched; it is read at each call",
              e);
      return Optional.empty();
    }
  }

  /**
   * Whether only this kernel changes the directory's file system.
   *
   * @throws IOException if the file system cannot be determined
   */
  static boolean isLocal(Path directory) throws IOException {
    return LOCAL_FILE_SYSTEMS.contains(Files.getFileStore(directory).type());
  }

  ReservationIndex index() {
    return index;
  }

  /** Returns the recycler that released reservations' files go to. */
  FileRecycler recycledFiles() {
    return recycledFiles;
  }

  /**
   * Returns the address that this process allocated last from a range set; absent if it has not
   * allocated any or another process has allocated one since.
   */
  Optional<InetAddress> lastReserved(int rangeSetIndex) {
    return Optional.ofNullable(lastReserved.get(rangeSetIndex));
  }

  void setLastReserved(int rangeSetIndex, InetAddress address) {
    lastReserved.put(rangeSetIndex, address);
  }

  void clearLastReserved() {
    lastReserved.clear();
  }

  /** Announces a change of a file; until {@link #afterChange} its events count as foreign. */
  void beforeChange(String name) {
    ownChanges.remove(name);
  }

  /** Confirms that the index reflects the file, so that its events can be ignored. */
  void afterChange(String name) {
    ownChanges.add(name);
  }

  /**
   * Returns the files that other processes have changed since the last call.
   *
   * @param key the identity of the directory that the path denotes now
   * @return absent if events were lost or the path denotes another directory
   */
  Optional<Set<String>> pollChanges(@Nullable Object key) {
    if (!directoryKey.equals(key) || !drain()) {
      return Optional.empty();
    }
    Set<String> names = Set.copyOf(changed);
    changed.clear();
    return Optional.of(names);
  }

  /**
   * Reads the pending inotify events and drops those of this thread's own changes. Must be called
   * before the directory is unlocked: later events of the same files are other processes'.
   *
   * @return false if events were lost
   */
  boolean drain() {
    try {
      Optional<Set<String>> names = watch.pollChanges();
      if (names.isPresent()) {
        names.get().removeAll(ownChanges);
        changed.addAll(names.get());
      }
      ownChanges.clear();
      return names.isPresent();
    } catch (IOException e) {
      LOG.get()
          .log(System.Logger.Level.DEBUG, "inotify failed; the reservations are read again", e);
      return false;
    }
  }

  @Override
  public void close() {
    watch.close();
    recycledFiles.close();
  }
}
