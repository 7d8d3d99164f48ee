// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.api.internal.AtomicFiles;
import cni.api.internal.FileRecycler;
import cni.api.internal.IoErrors;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.node.ObjectNode;

/**
 * The results of ADD, kept until DEL in libcni's place and format: {@code
 * <cache>/results/<network>-<containerID>-<ifname>}, mode 0600 in directories of mode 0700. {@link
 * ResultCacheEntry} is the format. A file appears with its whole content or not at all. Files of
 * libcni before 0.8, which are bare results, can be read as well.
 */
final class ResultCache {
  /** The keys of which a bare result has at least one. */
  private static final List<String> RESULT_KEYS =
      List.of("cniVersion", "interfaces", "ips", "ip4", "ip6");

  private final CacheDirectory directory;
  private final TemporaryFiles temporary;

  /**
   * Opens the cache; nothing is read or created yet.
   *
   * @param recycler receives the files of results that are removed
   */
  ResultCache(Path cache, FileRecycler recycler) {
    this.directory = new CacheDirectory(cache.resolve("results"), recycler);
    this.temporary = new TemporaryFiles(cache);
  }

  /** Returns the directory of the results. */
  Path directory() {
    return directory.path();
  }

  /** What is stored of an attachment. */
  enum Stored {
    /** Nothing. */
    ABSENT,

    /**
     * A file that does not prove an attachment: it is not a result, as after a loss of power, it is
     * of an earlier boot, or its namespace has been replaced. An interface that has the
     * attachment's name now is not the one that it describes.
     */
    STALE,

    /** The result of an attachment that has been made since the boot. */
    LIVE
  }

  /**
   * Requires that the result of an attachment could be stored, before the attachment is made.
   *
   * @return what is stored of it already
   * @throws CniException code 4 if the file name would be too long, or the file is that of another
   *     attachment; code 5 if it exists and cannot be read
   */
  Stored requireStorable(String network, AttachmentId id) throws CniException {
    examineDirectory();
    Path file = directory.file(network, id).orElseThrow(() -> nameTooLong(network, id));
    Optional<ObjectNode> json;
    try {
      json = CacheDirectory.read(file);
    } catch (CniException e) {
      if (e.is(ErrorCode.DECODING_FAILURE)) {
        return Stored.STALE;
      }
      throw e;
    }
    if (json.isEmpty()) {
      return Stored.ABSENT;
    }
    if (CacheDirectory.isForeign(json.get(), network, id)) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "%s belongs to another attachment; choose another container id (CNI_CONTAINERID)"
              .formatted(file));
    }
    boolean live = isResultOf(json.get(), network, id) && isOfThisBoot(json.get(), file);
    return live ? Stored.LIVE : Stored.STALE;
  }

  private void examineDirectory() throws CniException {
    try {
      AtomicFiles.examine(directory.path());
    } catch (NoSuchFileException e) {
      return; // the first ADD creates it
    } catch (IOException e) {
      throw new CniException(ErrorCode.IO_FAILURE, IoErrors.describe(e), e);
    }
  }

  private static boolean isOfThisBoot(ObjectNode json, Path file) throws CniException {
    try {
      return !ResultCacheEntry.isOfEarlierBoot(json, file);
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, file + " cannot be read: " + IoErrors.reason(e), e);
    }
  }

  /** Returns whether the content of a file is a result as libcni before 0.8 stored it. */
  static boolean isBareResult(ObjectNode json) {
    return RESULT_KEYS.stream().anyMatch(json::has);
  }

  /** Returns whether the content is an attachment's entry with a result, or a bare result. */
  private static boolean isResultOf(ObjectNode json, String network, AttachmentId id) {
    boolean isEntry = ResultCacheEntry.isEntry(json);
    if (isEntry && !ResultCacheEntry.isOf(json, network, id)) {
      return false;
    }
    try {
      return new Content(json).result(SpecVersion.CURRENT).isPresent();
    } catch (CniException e) {
      return false;
    }
  }

  private static CniException nameTooLong(String network, AttachmentId id) {
    return new CniException(
        ErrorCode.INVALID_PARAMETER,
        ("the names of network, container (CNI_CONTAINERID) and interface (CNI_IFNAME) must make a"
                + " file name of at most %d bytes: %s")
            .formatted(CacheDirectory.NAME_MAX, CacheDirectory.fileName(network, id)));
  }

  /**
   * Requires that a result could be stored now, by writing a temporary file of the usual size.
   * Directories that do not exist stay absent: the first ADD creates them.
   *
   * @throws CniException code 50 if it could not be: the file system is full or read-only, or the
   *     directory's place is taken or forbidden
   */
  void requireWritable(String network) throws CniException {
    Path results = directory.path();
    try {
      if (Files.exists(results, LinkOption.NOFOLLOW_LINKS)) {
        AtomicFiles.createDirectories(results); // fails if it is no directory
        if (!Files.isWritable(results)) {
          throw new FileSystemException(results.toString(), null, "is not writable");
        }
      }
      temporary.requireWritable(network);
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.NOT_AVAILABLE,
          "results of network %s cannot be stored: %s".formatted(network, IoErrors.describe(e)),
          e);
    }
  }

  /**
   * Stores an entry with its result.
   *
   * @throws CniException code 5 if it cannot be written
   */
  void put(ResultCacheEntry entry) throws CniException {
    Path file = directory.file(entry);
    try {
      directory.write(entry, entry.bytes(), temporary);
    } catch (IOException e) {
      throw writeFailure(file, e);
    }
  }

  /**
   * Stores an entry with its result by completing its journal entry and renaming that file, which
   * saves the creation of another one. Where that is not possible, the entry is written to a new
   * file and its journal entry removed.
   *
   * @throws CniException code 5 if it cannot be written
   */
  void put(ResultCacheEntry entry, AddJournal journal) throws CniException {
    Path file = directory.file(entry);
    try {
      byte[] bytes = entry.bytes();
      if (!journal.promote(entry, bytes, file)) {
        directory.write(entry, bytes, temporary);
        journal.discard(entry);
      }
    } catch (IOException e) {
      throw writeFailure(file, e);
    }
  }

  /** Returns the error for an entry, of a result or of the journal, that cannot be written. */
  static CniException writeFailure(Path file, IOException e) {
    return new CniException(
        ErrorCode.IO_FAILURE,
        "the result cannot be stored in " + file + ": " + IoErrors.reason(e),
        e);
  }

  /** The content of an attachment's file. */
  record Content(ObjectNode json) {
    /** Returns the entry; absent if there is only a bare result. */
    Optional<CachedAttachment> entry() {
      return ResultCacheEntry.read(json);
    }

    /**
     * Returns the result; absent if the entry has none.
     *
     * @param version assumed for a result that names none
     * @throws CniException code 6 if it is not a result
     */
    Optional<Result> result(SpecVersion version) throws CniException {
      boolean isEntry = ResultCacheEntry.isEntry(json);
      if (!isEntry && !isBareResult(json)) {
        throw new CniException(
            ErrorCode.DECODING_FAILURE,
            "what is stored is no result: it has none of the keys "
                + String.join(", ", RESULT_KEYS));
      }
      if (!isEntry) {
        return Optional.of(read(json, version));
      }
      return json.get("result") instanceof ObjectNode result
          ? Optional.of(read(result, version))
          : Optional.empty();
    }

    private static Result read(ObjectNode result, SpecVersion version) throws CniException {
      return ResultJson.read(result, assumedVersion(result, version));
    }
  }

  /**
   * Reads the file of an attachment; absent if there is none.
   *
   * @throws CniException code 5 or 6 if it cannot be read
   */
  Optional<Content> read(String network, AttachmentId id) throws CniException {
    return directory.read(network, id).map(Content::new);
  }

  /**
   * Returns the stored result of an attachment; absent if there is none.
   *
   * @param version assumed for a result that names none
   * @throws CniException code 5 or 6 if it cannot be read or is not a result
   */
  Optional<Result> result(String network, AttachmentId id, SpecVersion version)
      throws CniException {
    Optional<Content> content = read(network, id);
    return content.isEmpty() ? Optional.empty() : content.get().result(version);
  }

  /**
   * Returns the stored entry of an attachment that has been made since the boot; absent if there is
   * none, or it has no result.
   *
   * @throws CniException code 5 or 6 if it cannot be read
   */
  Optional<CachedAttachment> live(String network, AttachmentId id) throws CniException {
    Optional<ObjectNode> json = directory.read(network, id);
    if (json.isEmpty() || !isOfThisBoot(json.get(), directory.file(network, id).orElseThrow())) {
      return Optional.empty();
    }
    return ResultCacheEntry.read(json.get()).filter(it -> !it.resultJson().isEmpty());
  }

  /**
   * Returns the version to assume for a result that names none: that of the form before 0.3.0 if it
   * has one of its keys, which no other version has, and otherwise the given one.
   */
  static SpecVersion assumedVersion(ObjectNode result, SpecVersion otherwise) {
    return result.has("ip4") || result.has("ip6") ? SpecVersion.V0_2_0 : otherwise;
  }

  /**
   * Returns the stored entry of an attachment; absent if there is none, or only a bare result.
   *
   * @throws CniException code 5 or 6 if it cannot be read
   */
  Optional<CachedAttachment> get(String network, AttachmentId id) throws CniException {
    return directory.get(network, id);
  }

  /** Returns the error for an operation that needs what is stored of an attachment. */
  CniException notStored(String network, AttachmentId id) {
    return new CniException(
        ErrorCode.INVALID_PARAMETER,
        ("no attachment of container %s, interface %s, to network %s is kept in %s: it was never"
                + " added, has been deleted, or is kept in another directory (--cache); \"cni list\""
                + " shows those that are")
            .formatted(id.containerId(), id.interfaceName(), network, directory.path()));
  }

  /** Returns when the entry of an attachment was written; absent if there is none. */
  Optional<Instant> storedAt(String network, AttachmentId id) {
    try {
      Optional<Path> file = directory.file(network, id);
      return file.isPresent()
          ? Optional.of(Files.getLastModifiedTime(file.get()).toInstant())
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /**
   * Returns all stored entries, as {@link CacheDirectory#list}.
   *
   * @param containerId only those of that container
   * @throws CniException code 5 if the directory cannot be read
   */
  List<CachedAttachment> list(Optional<String> containerId) throws CniException {
    return directory.list(containerId);
  }

  /**
   * Returns the files of a network that {@link #list} leaves out, as {@link
   * CacheDirectory#unlisted}.
   *
   * @throws CniException code 5 if the directory cannot be read, code 11 at an interrupt
   */
  List<Set<AttachmentId>> unlisted(String network, Set<String> others) throws CniException {
    return directory.unlisted(network, others);
  }

  /**
   * Removes a stored result, if there is one.
   *
   * @throws CniException code 5 if its file cannot be removed
   */
  void remove(String network, AttachmentId id) throws CniException {
    directory.remove(network, id);
  }
}
