package cni.plugins.ipam.hostlocal;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.Names;
import cni.api.internal.AtomicFiles;
import cni.api.internal.IoErrors;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.channels.ClosedByInterruptException;
import java.nio.charset.StandardCharsets;
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
 * The reservations of a network, in the reference plugin's form: a directory with a file for each
 * address, named by the address, that holds {@code containerID\r\nifname}; and for each range set a
 * file {@code last_reserved_ip.N}. Whoever reads or writes them holds the directory's lock, which
 * is held from opening to closing.
 *
 * <p>A reservation is written under another name and then renamed, so that it is there whole or not
 * at all.
 */
final class ReservationStore implements AutoCloseable {
  private static final String LOCK_FILE = "lock";
  private static final String LAST_RESERVED_PREFIX = "last_reserved_ip.";
  private static final String LINE_SEPARATOR = "\r\n";

  /** Where a file is written before it gets its name. One is enough: the lock is held. */
  static final String TEMP_PREFIX = ".unnamed";

  private final Path directory;
  private final DirectoryLock.Held lock;
  private final Optional<ReservationCachePool> cachePool;
  private Optional<ReservationCache> cache = Optional.empty();
  private ReservationIndex index = new ReservationIndex();

  private ReservationStore(
      Path directory, DirectoryLock.Held lock, Optional<ReservationCachePool> memory) {
    this.directory = directory;
    this.lock = lock;
    this.cachePool = memory;
  }

  /**
   * Opens a directory and locks it. It is created if it is not there.
   *
   * @param memory where to keep what it holds for the next time
   * @throws CniException code 5 if that fails, code 11 if others hold the lock until the deadline
   */
  static ReservationStore open(
      Path directory, DirectoryLock lock, Optional<ReservationCachePool> memory, Deadline deadline)
      throws CniException {
    try {
      if (!Files.isDirectory(directory)) {
        Files.createDirectories(directory);
      }
    } catch (IOException e) {
      throw failure("directory " + directory + " cannot be created", e);
    }
    DirectoryLock.Held held = lock.acquire(directory.resolve(LOCK_FILE), deadline);
    var reservations = new ReservationStore(directory, held, memory);
    boolean opened = false;
    try {
      reservations.load();
      opened = true;
      return reservations;
    } finally {
      if (!opened) {
        reservations.discardCache();
        held.close();
      }
    }
  }

  /** As {@link #open}, if the directory exists. */
  static Optional<ReservationStore> openIfPresent(
      Path directory, DirectoryLock lock, Optional<ReservationCachePool> memory, Deadline deadline)
      throws CniException {
    return Files.isDirectory(directory)
        ? Optional.of(open(directory, lock, memory, deadline))
        : Optional.empty();
  }

  /** Finds out what the directory holds: by what has changed since, if it is known from before. */
  private void load() throws CniException {
    Object key = cachePool.isPresent() ? directoryKey() : null;
    cache = cachePool.flatMap(it -> it.acquire(directory));
    Optional<Set<String>> news = cache.flatMap(it -> it.pollChanges(key));
    if (news.isPresent()) {
      index = cache.orElseThrow().index();
      for (String name : news.get()) {
        Optional<InetAddress> address = addressOf(name);
        if (address.isPresent()) {
          reindex(address.get(), directory.resolve(name));
        } else if (name.startsWith(LAST_RESERVED_PREFIX)) {
          cache.orElseThrow().clearLastReserved();
        }
      }
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
      deleteTemporaryFiles(
          contents
              .temporaryFiles()); // of processes that have died; one that lives does not miss them
    }
  }

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

  /** The name need not be the one that we would give the file. */
  private void reindex(InetAddress address, Path file) throws CniException {
    Optional<Holder> holder;
    try {
      holder = holderOf(file);
    } catch (IOException e) {
      throw failure("reservation " + file + " cannot be read", e);
    }
    if (holder.isPresent()) {
      index.put(AddressKey.of(address), holder.get().hash());
    } else {
      index.remove(AddressKey.of(address));
    }
  }

  /** Whether somebody holds the address. */
  boolean isReserved(AddressKey address) {
    return index.contains(address);
  }

  /** How many of the addresses are held. */
  long countReserved(Predicate<InetAddress> condition) {
    return index.addresses().stream().map(AddressKey::toAddress).filter(condition).count();
  }

  /**
   * Who holds the address.
   *
   * @return absent if nobody does, or the file was not written to its end
   * @throws CniException code 5 if the file cannot be read
   */
  Optional<Holder> holderOf(InetAddress address) throws CniException {
    Path file = fileOf(address);
    try {
      return holderOf(file);
    } catch (IOException e) {
      throw failure("reservation " + file + " cannot be read", e);
    }
  }

  /**
   * The addresses whose files name that attachment.
   *
   * @throws CniException code 5 if a file cannot be read
   */
  List<InetAddress> heldBy(AttachmentId id) throws CniException {
    return heldBy(
        ReservationIndex.holderHash(id.containerId(), id.interfaceName()),
        holder -> holder.matches(id));
  }

  /**
   * The addresses whose files name that container and no interface.
   *
   * @throws CniException code 5 if a file cannot be read
   */
  List<InetAddress> heldBy(String containerId) throws CniException {
    return heldBy(
        ReservationIndex.holderHash(containerId, null),
        holder -> holder.matchesContainerOnly(containerId));
  }

  private List<InetAddress> heldBy(long hash, Predicate<Holder> condition) throws CniException {
    List<InetAddress> held = new ArrayList<>(1);
    for (AddressKey key : index.heldBy(hash)) {
      if (holderOf(key.toAddress()).filter(condition).isPresent()) {
        held.add(key.toAddress());
      }
    }
    return held;
  }

  /**
   * What the directory holds.
   *
   * @param holders every address that someone holds
   * @param incomplete those whose file was not written to its end: a process died, and as the lock
   *     is held it is not just being written. They are free.
   * @param temporaryFiles files without meaning that processes have left; a process that lives does
   *     not miss them
   */
  record Contents(
      Map<InetAddress, Holder> holders, List<InetAddress> incomplete, List<Path> temporaryFiles) {}

  /**
   * Reads the directory.
   *
   * @throws CniException code 5 if it cannot be read
   */
  Contents read() throws CniException {
    var contents = new Contents(new LinkedHashMap<>(), new ArrayList<>(), new ArrayList<>());
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      for (Path file : files) {
        String name = String.valueOf(file.getFileName());
        Optional<InetAddress> address = addressOf(name);
        if (address.isPresent()) {
          holderOf(file)
              .ifPresentOrElse(
                  holder -> contents.holders().put(address.get(), holder),
                  () -> contents.incomplete().add(address.get()));
        } else if (name.startsWith(TEMP_PREFIX)) {
          contents.temporaryFiles().add(file);
        }
      }
    } catch (IOException | java.nio.file.DirectoryIteratorException e) {
      throw failure("reservations in " + directory + " cannot be read", e);
    }
    return contents;
  }

  /**
   * Removes files without meaning.
   *
   * @throws CniException code 5 if that fails
   */
  void deleteTemporaryFiles(List<Path> unnamed) throws CniException {
    try {
      for (Path file : unnamed) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      throw failure("files in " + directory + " cannot be removed", e);
    }
  }

  private static Optional<InetAddress> addressOf(String name) {
    if (!name.chars().allMatch(c -> Character.digit(c, 16) >= 0 || c == ':' || c == '.')) {
      return Optional.empty(); // the lock and the like, without the cost of an exception
    }
    try {
      return Optional.of(InetAddresses.parse(name));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  private static Optional<Holder> holderOf(Path file) throws IOException {
    try {
      return Holder.parse(text(file));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  /** Whatever somebody may have written there; what is not UTF-8 is not ours. */
  private static String text(Path file) throws IOException {
    return new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
  }

  /**
   * Reserves an address that nobody holds; a torn file gives way.
   *
   * @param set the number of the range set that remembers it as the last one
   * @throws CniException code 5 if it cannot be written; then it is not reserved
   */
  void reserve(InetAddress address, AttachmentId holder, int set) throws CniException {
    Path file = fileOf(address);
    beforeWrite(file);
    try {
      write(file, holder.containerId() + LINE_SEPARATOR + holder.interfaceName());
      writeLastReserved(set, address);
      index.put(
          AddressKey.of(address),
          ReservationIndex.holderHash(holder.containerId(), holder.interfaceName()));
      afterWrite(file);
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

  /** Until it is known to have gone well, what becomes of the file is news like any other. */
  private void beforeWrite(Path file) {
    cache.ifPresent(it -> it.beforeWrite(String.valueOf(file.getFileName())));
  }

  private void afterWrite(Path file) {
    cache.ifPresent(it -> it.afterWrite(String.valueOf(file.getFileName())));
  }

  /**
   * Gives an address back.
   *
   * @throws CniException code 5 if its file cannot be removed
   */
  void release(InetAddress address) throws CniException {
    beforeWrite(fileOf(address));
    try {
      remove(fileOf(address));
      index.remove(AddressKey.of(address));
      afterWrite(fileOf(address));
    } catch (IOException e) {
      throw failure("reservation " + fileOf(address) + " cannot be removed", e);
    }
  }

  private void remove(Path file) throws IOException {
    if (cache.isPresent()) {
      cache.get().recycledFiles().recycle(file);
    } else {
      Files.deleteIfExists(file);
    }
  }

  /** The address that the range set gave out last; absent too where the file makes no sense. */
  Optional<InetAddress> lastReserved(int set) throws CniException {
    Optional<InetAddress> remembered = cache.flatMap(it -> it.lastReserved(set));
    if (remembered.isPresent()) {
      return remembered;
    }
    Path file = directory.resolve(LAST_RESERVED_PREFIX + set);
    try {
      return Optional.of(InetAddresses.parse(text(file).strip()));
    } catch (NoSuchFileException | IllegalArgumentException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw failure(file + " cannot be read", e);
    }
  }

  private void writeLastReserved(int set, InetAddress address) throws IOException {
    Path file = directory.resolve(LAST_RESERVED_PREFIX + set);
    AtomicFiles.writeInPlace(file, InetAddresses.format(address).getBytes(StandardCharsets.UTF_8));
    cache.ifPresent(it -> it.setLastReserved(set, address));
    afterWrite(file);
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

  /** Keeps what is known, if all of it is, and gives the lock back. */
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

  /**
   * Who holds an address.
   *
   * @param interfaceName absent in a file of a plugin before 0.7, which stands for any interface of
   *     the container
   */
  record Holder(String containerId, Optional<String> interfaceName) {
    /**
     * Reads a file's content; absent if it was not written to its end: if it is empty, or zeros, or
     * breaks off after the container's id. Anything else that makes no sense is someone's note.
     */
    static Optional<Holder> parse(String content) {
      if (content.chars().allMatch(c -> c == 0 || Character.isWhitespace(c))) {
        return Optional.empty();
      }
      int lineBreak = content.indexOf('\r');
      if (lineBreak < 0) {
        return Optional.of(new Holder(content.strip(), Optional.empty()));
      }
      String name = content.substring(lineBreak).strip();
      return name.isEmpty()
          ? Optional.empty()
          : Optional.of(new Holder(content.substring(0, lineBreak).strip(), Optional.of(name)));
    }

    long hash() {
      return ReservationIndex.holderHash(containerId, interfaceName.orElse(null));
    }

    /** Whether the file names that attachment. */
    boolean matches(AttachmentId attachment) {
      return interfaceName.equals(Optional.of(attachment.interfaceName()))
          && containerId.equals(attachment.containerId());
    }

    /** Whether the file names that container and no interface. */
    boolean matchesContainerOnly(String container) {
      return interfaceName.isEmpty() && containerId.equals(container);
    }

    /** Whether the file can come from a plugin, which writes ids that are identifiers. */
    boolean hasValidContainerId() {
      return Names.isIdentifier(containerId);
    }

    @Override
    public String toString() {
      return hasValidContainerId()
          ? "container " + containerId + interfaceName.map(name -> ", " + name).orElse("")
          : Json.quote(containerId);
    }
  }
}
