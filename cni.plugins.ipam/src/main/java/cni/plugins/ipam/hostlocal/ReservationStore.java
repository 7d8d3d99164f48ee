package cni.plugins.ipam.hostlocal;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.internal.AtomicFiles;
import cni.api.internal.IoErrors;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.channels.ClosedByInterruptException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
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
  private static final String LOCK_FILE = "lock";
  private static final String LAST_RESERVED_PREFIX = "last_reserved_ip.";

  /** Begins the name of every temporary file; the lock allows one writer, so one name is enough. */
  static final String TEMP_PREFIX = ".unnamed";

  private final Path directory;
  private final DirectoryLock.Held lock;
  private final Optional<ReservationCachePool> cachePool;
  private Optional<ReservationCache> cache = Optional.empty();
  private ReservationIndex index = new ReservationIndex();

  private ReservationStore(
      Path directory, DirectoryLock.Held lock, Optional<ReservationCachePool> pool) {
    this.directory = directory;
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
      if (!Files.isDirectory(directory)) {
        Files.createDirectories(directory);
      }
    } catch (IOException e) {
      throw failure("directory " + directory + " cannot be created", e);
    }
    DirectoryLock.Held held = lock.acquire(directory.resolve(LOCK_FILE), deadline);
    var store = new ReservationStore(directory, held, pool);
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
        ? Optional.of(open(directory, lock, pool, deadline))
        : Optional.empty();
  }

  /** Fills the index: from the cache and the files changed since, otherwise from all files. */
  private void load() throws CniException {
    Object key = cachePool.isPresent() ? directoryKey() : null;
    cache = cachePool.flatMap(it -> it.acquire(directory));
    Optional<Set<String>> changed = cache.flatMap(it -> it.pollChanges(key));
    if (changed.isPresent()) {
      index = cache.orElseThrow().index();
      reload(cache.orElseThrow(), changed.get());
      return;
    }
    discardCache();
    cache = ReservationCache.watch(directory, key);
    index = cache.map(ReservationCache::index).orElseGet(ReservationIndex::new);
    Contents contents = read();
    contents
        .holders()
        .forEach((address, holder) -> index.put(AddressKey.of(address), holder.hash()));
    if (cachePool.isPresent()) {
      // Left by processes that died, or kept for reuse by a running one, which can do without them.
      deleteTemporaryFiles(contents.temporaryFiles());
    }
  }

  private void reload(ReservationCache cached, Set<String> names) throws CniException {
    for (String name : names) {
      Optional<InetAddress> address = addressOf(name);
      if (address.isPresent()) {
        // Read by this name: it may be another notation than ours of the address.
        Optional<ReservationHolder> holder = readHolder(directory.resolve(name));
        if (holder.isPresent()) {
          index.put(AddressKey.of(address.get()), holder.get().hash());
        } else {
          index.remove(AddressKey.of(address.get()));
        }
      } else if (name.startsWith(LAST_RESERVED_PREFIX)) {
        cached.clearLastReserved();
      }
    }
  }

  /** Returns the directory's device and inode; null on file systems without. */
  private @Nullable Object directoryKey() throws CniException {
    try {
      return Files.readAttributes(directory, BasicFileAttributes.class).fileKey();
    } catch (IOException e) {
      throw failure("directory " + directory + " cannot be read", e);
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

  /** Returns the number of reserved addresses that match. */
  long countReserved(Predicate<InetAddress> condition) {
    return index.addresses().stream().map(AddressKey::toAddress).filter(condition).count();
  }

  /**
   * Returns the holder of an address.
   *
   * @return absent if the address is free
   * @throws CniException code 5 if the file cannot be read
   */
  Optional<ReservationHolder> holderOf(InetAddress address) throws CniException {
    return readHolder(fileOf(address));
  }

  /**
   * Returns the addresses of a holder.
   *
   * @throws CniException code 5 if a file cannot be read
   */
  List<InetAddress> heldBy(ReservationHolder holder) throws CniException {
    List<InetAddress> held = new ArrayList<>(1);
    for (AddressKey key : index.heldBy(holder.hash())) {
      if (holderOf(key.toAddress()).filter(holder::isSame).isPresent()) {
        held.add(key.toAddress());
      }
    }
    return held;
  }

  /**
   * The content of the directory.
   *
   * @param holders the reserved addresses
   * @param incomplete the addresses whose files are incomplete
   * @param temporaryFiles files that may be deleted
   */
  record Contents(
      Map<InetAddress, ReservationHolder> holders,
      List<InetAddress> incomplete,
      List<Path> temporaryFiles) {}

  /**
   * Reads all files of the directory.
   *
   * @throws CniException code 5 if one cannot be read
   */
  Contents read() throws CniException {
    var contents = new Contents(new LinkedHashMap<>(), new ArrayList<>(), new ArrayList<>());
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      for (Path file : files) {
        String name = String.valueOf(file.getFileName());
        Optional<InetAddress> address = addressOf(name);
        if (address.isPresent()) {
          readHolder(file)
              .ifPresentOrElse(
                  holder -> contents.holders().put(address.get(), holder),
                  () -> contents.incomplete().add(address.get()));
        } else if (name.startsWith(TEMP_PREFIX)) {
          contents.temporaryFiles().add(file);
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      throw failure("reservations in " + directory + " cannot be read", e);
    }
    return contents;
  }

  /**
   * Deletes temporary files.
   *
   * @throws CniException code 5 if one cannot be deleted
   */
  void deleteTemporaryFiles(List<Path> temporaryFiles) throws CniException {
    try {
      for (Path file : temporaryFiles) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      throw failure("files in " + directory + " cannot be removed", e);
    }
  }

  private static Optional<InetAddress> addressOf(String name) {
    if (!name.chars().allMatch(c -> Character.digit(c, 16) >= 0 || c == ':' || c == '.')) {
      return Optional.empty(); // avoids the cost of an exception for "lock" and other files
    }
    try {
      return Optional.of(InetAddresses.parse(name));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  /** Reads the file of an address; absent if it does not exist or is incomplete. */
  private static Optional<ReservationHolder> readHolder(Path file) throws CniException {
    try {
      return ReservationHolder.parse(text(file));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw failure("reservation " + file + " cannot be read", e);
    }
  }

  /** Reads a file that may contain anything; bytes that are not UTF-8 are replaced. */
  private static String text(Path file) throws IOException {
    return new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
  }

  /**
   * Reserves a free address; an incomplete file of the address is replaced.
   *
   * @param rangeSetIndex the index of the range set whose {@code last_reserved_ip} becomes this
   *     address
   * @throws CniException code 5 if the file cannot be written; the address is then free
   */
  void reserve(InetAddress address, ReservationHolder holder, int rangeSetIndex)
      throws CniException {
    Path file = fileOf(address);
    beforeChange(file);
    try {
      write(file, holder.format());
      writeLastReserved(rangeSetIndex, address);
      index.put(AddressKey.of(address), holder.hash());
      afterChange(file);
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
      AtomicFiles.write(file, directory.resolve(TEMP_PREFIX), bytes);
    }
  }

  private void beforeChange(Path file) {
    cache.ifPresent(it -> it.beforeChange(String.valueOf(file.getFileName())));
  }

  private void afterChange(Path file) {
    cache.ifPresent(it -> it.afterChange(String.valueOf(file.getFileName())));
  }

  /**
   * Releases an address; does nothing if it is free.
   *
   * @throws CniException code 5 if its file cannot be removed
   */
  void release(InetAddress address) throws CniException {
    Path file = fileOf(address);
    beforeChange(file);
    try {
      delete(file);
      index.remove(AddressKey.of(address));
      afterChange(file);
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
   * @throws CniException code 5 if the file cannot be read
   */
  Optional<InetAddress> lastReserved(int rangeSetIndex) throws CniException {
    Optional<InetAddress> cached = cache.flatMap(it -> it.lastReserved(rangeSetIndex));
    if (cached.isPresent()) {
      return cached;
    }
    Path file = directory.resolve(LAST_RESERVED_PREFIX + rangeSetIndex);
    try {
      return Optional.of(InetAddresses.parse(text(file).strip()));
    } catch (NoSuchFileException | IllegalArgumentException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw failure(file + " cannot be read", e);
    }
  }

  private void writeLastReserved(int rangeSetIndex, InetAddress address) throws IOException {
    Path file = directory.resolve(LAST_RESERVED_PREFIX + rangeSetIndex);
    AtomicFiles.writeInPlace(file, InetAddresses.format(address).getBytes(StandardCharsets.UTF_8));
    cache.ifPresent(it -> it.setLastReserved(rangeSetIndex, address));
    afterChange(file);
  }

  private Path fileOf(InetAddress address) {
    return directory.resolve(InetAddresses.format(address));
  }

  private static CniException failure(String what, Exception e) {
    if (e instanceof ClosedByInterruptException) {
      return CniException.interrupted(what);
    }
    return new CniException(ErrorCode.IO_FAILURE, what + ": " + IoErrors.describe(e), e);
  }

  /** Returns the cache to the pool, unless events were lost, and unlocks the directory. */
  @Override
  public void close() {
    try {
      if (cachePool.isPresent() && cache.filter(ReservationCache::drain).isPresent()) {
        cachePool.get().release(directory, cache.get());
      } else {
        discardCache();
      }
    } finally {
      lock.close();
    }
  }
}
