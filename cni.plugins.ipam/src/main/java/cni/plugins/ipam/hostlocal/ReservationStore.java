// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import static cni.plugins.ipam.hostlocal.ReservationFiles.failure;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.internal.AtomicFiles;
import cni.plugins.ipam.range.AddressKey;
import cni.plugins.ipam.range.RangeSet;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The reservations of a network on disk, in the format of the reference plugin: a directory with a
 * file per address, named by the address, that contains {@code containerID\r\nifname}, and a file
 * {@code last_reserved_ip.N} per range set. An open store holds the directory's lock.
 *
 * <p>A reservation is written to a temporary file that is then renamed, so its file appears
 * complete or not at all. Other programs may write files in place, and leave an incomplete file if
 * they die meanwhile. No other program writes while the lock is held here, so the address of an
 * incomplete file is free.
 */
final class ReservationStore implements AutoCloseable {
  /** As the reference plugin creates directories, which may be the first to do so. */
  private static final String DIRECTORY_MODE = "rwxr-xr-x";

  /** The hash in the index of holders that cannot be read. */
  private static final long UNKNOWN_HOLDER = 0;

  private final ReservationFiles files;
  private final DirectoryLock.Held lock;
  private final Optional<ReservationCachePool> cachePool;
  private Optional<ReservationCache> cache = Optional.empty();
  private ReservationIndex index = new ReservationIndex();

  private ReservationStore(
      ReservationFiles files, DirectoryLock.Held lock, Optional<ReservationCachePool> pool) {
    this.files = files;
    this.lock = lock;
    this.cachePool = pool;
  }

  /**
   * Locks a directory, which is created if it does not exist, and reads the reservations.
   *
   * @param pool keeps the reservations in memory for the next call; absent in a process that serves
   *     one call
   * @throws CniException code 5 if the directory cannot be created or read, code 11 if the lock is
   *     held by others until the deadline
   */
  static ReservationStore open(
      Path directory, DirectoryLock lock, Optional<ReservationCachePool> pool, Deadline deadline)
      throws CniException {
    try {
      AtomicFiles.createDirectories(directory, DIRECTORY_MODE);
    } catch (IOException e) {
      throw failure("directory " + directory + " cannot be created", e);
    }
    return openExisting(directory, lock, pool, deadline);
  }

  private static ReservationStore openExisting(
      Path directory, DirectoryLock lock, Optional<ReservationCachePool> pool, Deadline deadline)
      throws CniException {
    var files = new ReservationFiles(directory);
    DirectoryLock.Held held = lock.acquire(files.lockFile(), deadline);
    var store = new ReservationStore(files, held, pool);
    boolean opened = false;
    try {
      store.load();
      opened = true;
      return store;
    } finally {
      if (!opened) {
        store.discardCache();
        held.close();
      }
    }
  }

  /** Opens a store like {@link #open}; absent if the directory does not exist. */
  static Optional<ReservationStore> openIfPresent(
      Path directory, DirectoryLock lock, Optional<ReservationCachePool> pool, Deadline deadline)
      throws CniException {
    return Files.isDirectory(directory)
        ? Optional.of(openExisting(directory, lock, pool, deadline))
        : Optional.empty();
  }

  /** Fills the index: from the cache and the files changed since, otherwise from all files. */
  private void load() throws CniException {
    Object key = cachePool.isPresent() ? directoryKey() : null;
    cache = cachePool.flatMap(it -> it.acquire(files.directory()));
    Optional<Set<String>> changed = cache.flatMap(it -> it.pollChanges(key));
    if (changed.isPresent()) {
      index = cache.orElseThrow().index();
      reload(cache.orElseThrow(), changed.get());
      return;
    }
    discardCache();
    cache =
        cachePool.flatMap(
            it -> ReservationCache.watch(files.directory(), key, it.maxRecycledFiles()));
    index = cache.map(ReservationCache::index).orElseGet(ReservationIndex::new);
    ReservationFiles.Contents contents = files.read();
    contents
        .holders()
        .forEach((address, holder) -> index.put(AddressKey.of(address), holder.hash()));
    contents.unreadable().forEach(it -> index.put(AddressKey.of(it), UNKNOWN_HOLDER));
    if (cachePool.isPresent()) {
      ReservationFiles.deleteTemporaryFiles(contents.temporaryFiles());
    }
  }

  private void reload(ReservationCache cached, Set<String> names) {
    for (String name : names) {
      Optional<ReservationState> state = files.reread(name);
      if (state.isPresent()) {
        AddressKey key = AddressKey.of(ReservationFiles.addressOf(name).orElseThrow());
        if (state.get() instanceof ReservationState.Free) {
          index.remove(key);
        } else {
          index.put(
              key, state.get().knownHolder().map(ReservationHolder::hash).orElse(UNKNOWN_HOLDER));
        }
      } else if (ReservationFiles.isLastReserved(name)) {
        cached.clearLastReserved();
      }
    }
  }

  /** Returns the directory's device and inode; null on file systems without. */
  private @Nullable Object directoryKey() throws CniException {
    try {
      return Files.readAttributes(files.directory(), BasicFileAttributes.class).fileKey();
    } catch (IOException e) {
      throw failure("directory " + files.directory() + " cannot be read", e);
    }
  }

  private void discardCache() {
    cache.ifPresent(ReservationCache::close);
    cache = Optional.empty();
  }

  /** Whether the address is reserved. */
  boolean isReserved(AddressKey address) {
    return index.contains(address);
  }

  /** Returns every reserved address, in no particular order. */
  List<InetAddress> reserved() {
    return index.addresses().stream().map(AddressKey::toAddress).toList();
  }

  /** Returns the addresses of a range set that were reserved before this boot, oldest first. */
  List<InetAddress> reservedBeforeBoot(RangeSet set) {
    return files.reservedBeforeBoot(
        reserved().stream().filter(it -> set.indexOf(it) >= 0).toList());
  }

  /** Describes the holder of a reserved address. */
  String describeHolder(InetAddress address) {
    ReservationState state = ReservationState.read(files.fileOf(address));
    return state instanceof ReservationState.Unreadable(String reason)
        ? "an unknown holder (" + reason + ")"
        : state.knownHolder().map(Object::toString).orElse("an unknown holder");
  }

  /** Returns the addresses of a holder. */
  List<InetAddress> heldBy(ReservationHolder holder) {
    List<InetAddress> held = new ArrayList<>(1);
    for (AddressKey key : index.heldBy(holder.hash())) {
      ReservationState state = ReservationState.read(files.fileOf(key.toAddress()));
      if (state.knownHolder().filter(holder::isSame).isPresent()) {
        held.add(key.toAddress());
      }
    }
    return held;
  }

  /**
   * Reads all files of the directory.
   *
   * @throws CniException code 5 if it cannot be read
   */
  ReservationFiles.Contents read() throws CniException {
    return files.read();
  }

  /**
   * Reserves a free address; an incomplete file of the address is replaced.
   *
   * @param rangeSetIndex the index of the range set whose {@code last_reserved_ip} becomes this
   *     address; absent if it is not an allocation that the next one has to follow
   * @throws CniException code 5 if the file cannot be written; the address is then free
   */
  void reserve(InetAddress address, ReservationHolder holder, OptionalInt rangeSetIndex)
      throws CniException {
    Path file = files.fileOf(address);
    beforeChange(file);
    try {
      write(file, holder.format());
      if (rangeSetIndex.isPresent()) {
        writeLastReserved(rangeSetIndex.getAsInt(), address);
      }
      index.put(AddressKey.of(address), holder.hash());
      afterChange(String.valueOf(file.getFileName()));
    } catch (IOException e) {
      CniException failure = failure("reservation " + file + " cannot be written", e);
      try {
        Files.deleteIfExists(file);
      } catch (IOException second) {
        failure.addSuppressed(second);
      }
      throw failure;
    }
  }

  private void write(Path file, String content) throws IOException {
    byte[] bytes = content.getBytes(StandardCharsets.UTF_8);
    if (cache.isEmpty() || !cache.get().recycledFiles().reuse(file, bytes)) {
      files.write(file, bytes);
    }
  }

  private void beforeChange(Path file) {
    cache.ifPresent(it -> it.beforeChange(String.valueOf(file.getFileName())));
  }

  private void afterChange(String name) {
    cache.ifPresent(it -> it.afterChange(name));
  }

  /**
   * Releases an address; does nothing if it is free.
   *
   * @throws CniException code 5 if its file cannot be removed
   */
  void release(InetAddress address) throws CniException {
    Path file = files.fileOf(address);
    beforeChange(file);
    try {
      delete(file);
      index.remove(AddressKey.of(address));
      afterChange(String.valueOf(file.getFileName()));
    } catch (IOException e) {
      throw failure("reservation " + file + " cannot be removed", e);
    }
  }

  private void delete(Path file) throws IOException {
    if (cache.isPresent()) {
      cache.get().recycledFiles().recycle(file);
    } else {
      Files.deleteIfExists(file);
    }
  }

  /**
   * Returns the address that was allocated last from a range set.
   *
   * @return absent if there is none or its file does not contain an address
   */
  Optional<InetAddress> lastReserved(int rangeSetIndex) {
    Optional<InetAddress> cached = cache.flatMap(it -> it.lastReserved(rangeSetIndex));
    return cached.isPresent() ? cached : files.lastReserved(rangeSetIndex);
  }

  private void writeLastReserved(int rangeSetIndex, InetAddress address) throws IOException {
    String name = files.writeLastReserved(rangeSetIndex, address);
    cache.ifPresent(it -> it.setLastReserved(rangeSetIndex, address));
    afterChange(name);
  }

  /** Returns the cache to the pool, unless events were lost, and unlocks the directory. */
  @Override
  public void close() {
    try {
      if (cachePool.isPresent() && cache.filter(ReservationCache::drain).isPresent()) {
        cachePool.get().release(files.directory(), cache.get());
      } else {
        discardCache();
      }
    } finally {
      lock.close();
    }
  }
}
