package cni.plugins.ipam;

import static cni.plugins.ipam.Log.LOG;

import cni.api.SpareFiles;
import cni.netlink.ffm.DirectoryWatch;
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
final class KnownLeases implements AutoCloseable {
  /** As many containers as may come and go at once. */
  private static final int SPARES = 64;

  private final LeaseTable table = new LeaseTable();
  private final Object directoryKey;
  private final DirectoryWatch watch;

  /** File systems that nobody changes but by this kernel, as /proc/mounts calls them. */
  private static final Set<String> LOCAL =
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

  private final Map<Integer, InetAddress> last = new HashMap<>();

  /** Files that have changed and have not been looked at since. */
  private final Set<String> changed = new HashSet<>();

  /** Files that this process itself is changing, whose content it knows. */
  private final Set<String> own = new HashSet<>();

  private final SpareFiles spares;

  private KnownLeases(Object directoryKey, DirectoryWatch watch, Path directory) {
    this.directoryKey = directoryKey;
    this.watch = watch;
    this.spares = new SpareFiles(directory, Reservations.UNNAMED + ".", SPARES);
  }

  /**
   * Begins to watch a directory whose lock is held; nothing is known of it yet.
   *
   * @param directoryKey which directory it is, whatever its path leads to later
   * @return absent if it cannot be watched
   */
  static Optional<KnownLeases> watch(Path directory, @Nullable Object directoryKey) {
    if (directoryKey == null || !directory.getFileSystem().equals(FileSystems.getDefault())) {
      return Optional.empty();
    }
    try {
      if (!LOCAL.contains(Files.getFileStore(directory).type())) {
        return Optional.empty(); // other machines may change it, of which this kernel tells nothing
      }
      return Optional.of(new KnownLeases(directoryKey, DirectoryWatch.open(directory), directory));
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, directory + " is read anew each time", e);
      return Optional.empty();
    }
  }

  LeaseTable table() {
    return table;
  }

  /** The files of addresses that were given back. */
  SpareFiles spares() {
    return spares;
  }

  /** The address that a range set gave out last, if nobody else has given out one since. */
  Optional<InetAddress> lastReserved(int set) {
    return Optional.ofNullable(last.get(set));
  }

  void reservedLast(int set, InetAddress address) {
    last.put(set, address);
  }

  void forgetLast() {
    last.clear();
  }

  /** Says that a file is about to be changed, and may become something else than the table says. */
  void writes(String name) {
    own.remove(name);
  }

  /** Says that a file is what the table says, so that its change is no news. */
  void wrote(String name) {
    own.add(name);
  }

  /**
   * The files that have changed since they were looked at the last time.
   *
   * @param key of the directory that the path leads to now
   * @return absent if that cannot be said
   */
  Optional<Set<String>> news(@Nullable Object key) {
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
      Optional<Set<String>> names = watch.changes();
      if (names.isPresent()) {
        names.get().removeAll(own);
        changed.addAll(names.get());
      }
      own.clear();
      return names.isPresent();
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "a directory of reservations is read anew", e);
      return false;
    }
  }

  @Override
  public void close() {
    watch.close();
    spares.close();
  }
}
