package cni.runtime;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.api.internal.AtomicFiles;
import cni.api.internal.FileRecycler;
import cni.api.internal.IoErrors;
import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.concurrent.ThreadLocalRandom;
import tools.jackson.databind.node.ObjectNode;

/**
 * The results of attachments, kept at libcni's place in libcni's form: {@code
 * <directory>/results/<network>-<containerID>-<ifname>}, kind {@code cniCacheV1}. A file appears
 * whole or not at all. Files of libcni before 0.8, which are bare results, are read as well.
 *
 * <p>The name of a file is ambiguous, as all three parts may have hyphens. What a file says inside
 * counts: one that belongs to another attachment is left alone.
 */
final class ResultCache {
  /** In bytes: the least that any machine has. */
  private static final int PAGE_SIZE = 4096;

  /** NAME_MAX of Linux, in bytes. */
  private static final int NAME_MAX = 255;

  /** What has not been finished after this time was abandoned. */
  private static final Duration ABANDONED_AGE = Duration.ofHours(1);

  private final Path directory;

  /** Where files are written before they get their names: libcni reads all that is in the other. */
  private final Path unfinished;

  private final FileRecycler spares;

  private ResultCache(Path directory, Path cache, FileRecycler spares) {
    this.directory = directory;
    this.unfinished = unfinished(cache);
    this.spares = spares;
  }

  private static Path unfinished(Path cache) {
    return cache.resolve("unfinished");
  }

  /**
   * The files of forgotten results, to be reused. They look like unfinished ones, and are swept.
   */
  static FileRecycler spares(Path cache, int most) {
    return new FileRecycler(unfinished(cache), "spare.", most);
  }

  /** The results that are kept in a cache. */
  static ResultCache of(Path cache, FileRecycler spares) {
    return new ResultCache(cache.resolve("results"), cache, spares);
  }

  /**
   * The attachments that were begun and neither finished nor taken back: if no ADD of theirs is
   * under way, the process has died in the middle. libcni does not look here.
   */
  static ResultCache ofBegun(Path cache, FileRecycler spares) {
    return new ResultCache(cache.resolve("begun"), cache, spares);
  }

  /**
   * Requires that a result of the attachment could be kept, before it is attached.
   *
   * @return whether there is one already, readable or not
   * @throws CniException code 4 if the names are too long together, or the file is that of another
   *     attachment
   */
  boolean requireRoom(String network, AttachmentId id) throws CniException {
    Path file =
        file(network, id)
            .orElseThrow(
                () ->
                    new CniException(
                        ErrorCode.INVALID_PARAMETER,
                        ("the names of network, container (CNI_CONTAINERID) and interface"
                                + " (CNI_IFNAME) must make a file name of at most %d bytes: %s")
                            .formatted(NAME_MAX, name(network, id))));
    if (!Files.exists(file)) {
      return false;
    }
    if (isOthers(file, network, id)) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "%s is kept for another attachment; choose another container id (CNI_CONTAINERID)"
              .formatted(file));
    }
    return true;
  }

  /** Whether something is kept of an attachment that can be read. */
  boolean has(String network, AttachmentId id) {
    Optional<Path> file = file(network, id);
    try {
      return file.isPresent() && Files.exists(file.get()) && get(network, id).isPresent();
    } catch (CniException e) {
      return false;
    }
  }

  /**
   * Notes an attachment that is begun. Nothing has been done yet, so a process that dies within
   * this leaves a file that does not matter.
   *
   * @throws CniException code 5 if it cannot be written
   */
  void addPending(ResultCacheEntry entry) throws CniException {
    Path file = file(entry);
    try {
      writeNote(file, entry.bytes());
    } catch (IOException e) {
      throw failure(file, e);
    }
  }

  private void writeNote(Path file, byte[] bytes) throws IOException {
    try {
      if (!spares.reuse(file, bytes)) {
        AtomicFiles.writeUnpublished(file, bytes);
      }
    } catch (NoSuchFileException e) {
      AtomicFiles.createDirectories(directory);
      AtomicFiles.writeUnpublished(file, bytes);
    }
  }

  /**
   * Keeps an entry with its result.
   *
   * @param begun where its note is, if there is one: that file itself then becomes the entry's
   * @throws CniException code 5 if it cannot be written
   */
  void put(ResultCacheEntry entry, Optional<ResultCache> begun) throws CniException {
    Path file = file(entry);
    try {
      byte[] bytes = entry.bytes();
      if (begun.isEmpty() || !complete(begun.get().file(entry), bytes, file)) {
        write(file, bytes);
        if (begun.isPresent()) {
          Files.deleteIfExists(begun.get().file(entry));
        }
      }
    } catch (IOException e) {
      throw failure(file, e);
    }
  }

  /**
   * Makes a note an entry.
   *
   * @return false if that cannot be: more than a page might be written in part if the process is
   *     killed meanwhile, and somebody may have removed the note or never made the directory
   */
  private static boolean complete(Path note, byte[] bytes, Path file) throws IOException {
    if (bytes.length > PAGE_SIZE) {
      return false;
    }
    try {
      AtomicFiles.extend(note, bytes);
      AtomicFiles.rename(note, file);
      return true;
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  private void write(Path file, byte[] bytes) throws IOException {
    AtomicFiles.createDirectories(directory);
    AtomicFiles.createDirectories(unfinished);
    String name = "%016x".formatted(ThreadLocalRandom.current().nextLong());
    AtomicFiles.write(file, unfinished.resolve(name), bytes);
  }

  private Path file(ResultCacheEntry entry) {
    return directory.resolve(name(entry.network(), entry.attachment().id()));
  }

  private static CniException failure(Path file, IOException e) {
    return e instanceof ClosedByInterruptException
        ? CniException.interrupted("keeping the result in " + file)
        : new CniException(
            ErrorCode.IO_FAILURE,
            "the result cannot be kept in " + file + ": " + IoErrors.reason(e),
            e);
  }

  /**
   * The result that was kept; absent if there is none.
   *
   * @param version assumed for a result that names none
   * @throws CniException code 5 or 6 if it cannot be read or is not a result
   */
  Optional<Result> result(String network, AttachmentId id, SpecVersion version)
      throws CniException {
    Optional<ObjectNode> kept = read(network, id);
    if (kept.isEmpty()) {
      return Optional.empty();
    }
    ObjectNode json = kept.get();
    if (ResultCacheEntry.isEntry(json)) {
      if (!(json.get("result") instanceof ObjectNode result)) {
        return Optional.empty();
      }
      json = result;
    }
    return Optional.of(ResultJson.read(json, assumedVersion(json, version)));
  }

  /** Some results do not say their version, but the oldest form cannot be mistaken. */
  static SpecVersion assumedVersion(ObjectNode result, SpecVersion otherwise) {
    return result.has("ip4") || result.has("ip6") ? SpecVersion.V0_2_0 : otherwise;
  }

  /**
   * All that was kept of an attachment; absent if there is nothing, or nothing but a bare result.
   *
   * @throws CniException code 5 or 6 if it cannot be read
   */
  Optional<CachedAttachment> get(String network, AttachmentId id) throws CniException {
    Optional<ObjectNode> json = read(network, id);
    return json.isPresent() ? ResultCacheEntry.read(json.get()) : Optional.empty();
  }

  /**
   * Every attachment that something is kept of, in the order of the file names. What cannot be read
   * or is not an entry is passed over, as libcni does.
   *
   * @param containerId only those of that container
   * @throws CniException code 5 if the directory cannot be read
   */
  List<CachedAttachment> list(Optional<String> containerId) throws CniException {
    List<CachedAttachment> found = new ArrayList<>();
    for (Path file : files(containerId.map(id -> "-" + id + "-").orElse(""))) {
      Optional<CachedAttachment> entry;
      try {
        Optional<ObjectNode> json = read(file);
        entry = json.isPresent() ? ResultCacheEntry.read(json.get()) : Optional.empty();
      } catch (CniException e) {
        continue;
      }
      entry
          .filter(
              it ->
                  containerId.isEmpty() || it.attachment().containerId().equals(containerId.get()))
          .ifPresent(found::add);
    }
    return found;
  }

  private SortedSet<Path> files(String part) throws CniException {
    var files = new TreeSet<Path>();
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(directory)) {
      for (Path file : stream) {
        String name = String.valueOf(file.getFileName());
        if (name.contains(part)) {
          files.add(file);
        }
      }
    } catch (NoSuchFileException | NotDirectoryException e) {
      return files;
    } catch (IOException | DirectoryIteratorException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, directory + " cannot be read: " + IoErrors.reason(e), e);
    }
    return files;
  }

  /** What the attachment's file holds; absent if there is none, or it is another attachment's. */
  private Optional<ObjectNode> read(String network, AttachmentId id) throws CniException {
    Optional<Path> file = file(network, id);
    Optional<ObjectNode> json = file.isPresent() ? read(file.get()) : Optional.empty();
    return json.filter(it -> !isOthers(it, network, id));
  }

  private static boolean isOthers(Path file, String network, AttachmentId id) {
    try {
      return read(file).filter(json -> isOthers(json, network, id)).isPresent();
    } catch (CniException e) {
      return false; // what cannot be read is taken for what its name says
    }
  }

  /** Whether it is an entry of an attachment whose file has the same name. */
  private static boolean isOthers(ObjectNode json, String network, AttachmentId id) {
    String itsNetwork = json.path("networkName").asString(network);
    AttachmentId its = ResultCacheEntry.idOf(json);
    return ResultCacheEntry.isEntry(json)
        && !(itsNetwork.equals(network) && its.equals(id))
        && name(itsNetwork, its).equals(name(network, id));
  }

  private static Optional<ObjectNode> read(Path file) throws CniException {
    try {
      return Optional.of(Json.parse(Files.readAllBytes(file), "the result kept in " + file));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (ClosedByInterruptException e) {
      throw CniException.interrupted("reading " + file);
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE,
          "the result kept in " + file + " cannot be read: " + IoErrors.reason(e),
          e);
    }
  }

  /**
   * Forgets a result, if there is one.
   *
   * @throws CniException code 5 if its file cannot be removed
   */
  void remove(String network, AttachmentId id) throws CniException {
    Optional<Path> file = file(network, id);
    if (file.isEmpty() || isOthers(file.get(), network, id)) {
      return;
    }
    try {
      spares.recycle(file.get());
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, file.get() + " cannot be removed: " + IoErrors.reason(e), e);
    }
  }

  /**
   * Removes what a process that died did not finish writing.
   *
   * @throws CniException code 5 if a directory cannot be read or a file cannot be removed
   */
  void sweep() throws CniException {
    sweep(unfinished, file -> true);
    sweep(directory, file -> Files.size(file) == 0);
  }

  private interface Condition {
    boolean holds(Path file) throws IOException;
  }

  private static void sweep(Path directory, Condition condition) throws CniException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      Instant before = Instant.now().minus(ABANDONED_AGE);
      for (Path file : files) {
        if (Files.getLastModifiedTime(file).toInstant().isBefore(before) && condition.holds(file)) {
          Files.deleteIfExists(file);
        }
      }
    } catch (NoSuchFileException e) {
      return; // nothing was ever written, or somebody else has just finished
    } catch (IOException | DirectoryIteratorException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, directory + " cannot be swept: " + IoErrors.reason(e), e);
    }
  }

  private static String name(String network, AttachmentId id) {
    return network + "-" + id.containerId() + "-" + id.interfaceName();
  }

  /** The attachment's file, if there can be one. The parts have been checked: no separators. */
  private Optional<Path> file(String network, AttachmentId id) {
    String name = name(network, id);
    if (name.getBytes(StandardCharsets.UTF_8).length > NAME_MAX) {
      return Optional.empty();
    }
    try {
      return Optional.of(directory.resolve(name));
    } catch (InvalidPathException e) { // characters that no file name of this system has
      return Optional.empty();
    }
  }
}
