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
 * What a directory of reservations held when its lock was given back, and what has changed there
 * since: a network with 60,000 leases is then as quick as an empty one.
 */
final class ReservationCache implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  /** As many containers as may come and go at once. */
  private static final int MAX_RECYCLED_FILES = 64;

  private final ReservationIndex index = new ReservationIndex();
  private final Object directoryKey;
  private final InotifyWatch watch;

  /** File systems that nobody changes but by this kernel, as /proc/mounts calls them. */
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

  private final Map<Integer, InetAddress> lastReserved = new HashMap<>();

  /** Files that have changed and have not been looked at since. */
  private final Set<String> changed = new HashSet<>();

  /** Files that this process itself is changing, whose content it knows. */
  private final Set<String> ownChanges = new HashSet<>();

  private final FileRecycler recycledFiles;

  private ReservationCache(Object directoryKey, InotifyWatch watch, Path directory) {
    this.directoryKey = directoryKey;
    this.watch = watch;
    this.recycledFiles =
        new FileRecycler(directory, ReservationStore.TEMP_PREFIX + ".", MAX_RECYCLED_FILES);
  }

  /**
   * Begins to watch a directory whose lock is held; nothing is known of it yet.
   *
   * @param directoryKey which directory it is, whatever its path leads to later
   * @return absent if it cannot be watched
   */
  static Optional<ReservationCache> watch(Path directory, @Nullable Object directoryKey) {
    if (directoryKey == null || !directory.getFileSystem().equals(FileSystems.getDefault())) {
      return Optional.empty();
    }
    try {
      if (!LOCAL_FILE_SYSTEMS.contains(Files.getFileStore(directory).type())) {
        return Optional.empty(); // other machines may change it, of which this kernel tells nothing
      }
      return Optional.of(
          new ReservationCache(directoryKey, InotifyWatch.open(directory), directory));
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.DEBUG, directory + " is read anew each time", e);
      return Optional.empty();
    }
  }

  ReservationIndex index() {
    return index;
  }

  /** The files of addresses that were given back. */
  FileRecycler recycledFiles() {
    return recycledFiles;
  }

  /** The address that a range set gave out last, if nobody else has given out one since. */
  Optional<InetAddress> lastReserved(int set) {
    return Optional.ofNullable(lastReserved.get(set));
  }

  void setLastReserved(int set, InetAddress address) {
    lastReserved.put(set, address);
  }

  void clearLastReserved() {
    lastReserved.clear();
  }

  /** Says that a file is about to be changed, and may become something else than the table says. */
  void beforeWrite(String name) {
    ownChanges.remove(name);
  }

  /** Says that a file is what the table says, so that its change is no news. */
  void afterWrite(String name) {
    ownChanges.add(name);
  }

  /**
   * The files that have changed since they were looked at the last time.
   *
   * @param key of the directory that the path leads to now
   * @return absent if that cannot be said
   */
  Optional<Set<String>> pollChanges(@Nullable Object key) {
    if (!directoryKey.equals(key) || !drain()) {
      return Optional.empty();
    }
    Set<String> news = Set.copyOf(changed);
    changed.clear();
    return Optional.of(news);
  }

  /**
   * Takes what has changed until now, before the lock is given back.
   *
   * @return whether all of it is known
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
      LOG.get().log(System.Logger.Level.DEBUG, "a directory of reservations is read anew", e);
      return false;
    }
  }

  @Override
  public void close() {
    watch.close();
    recycledFiles.close();
  }
}
