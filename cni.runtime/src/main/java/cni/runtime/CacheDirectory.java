// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.Names;
import cni.api.internal.AtomicFiles;
import cni.api.internal.FileRecycler;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.api.internal.RegularFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.node.ObjectNode;

/**
 * A directory with a file for each attachment, named {@code <network>-<containerID>-<ifname>} as by
 * libcni; {@link ResultCacheEntry} is the format of the files. {@link ResultCache} and {@link
 * AddJournal} are kept in such directories.
 *
 * <p>The name of a file is ambiguous, because all three parts may contain hyphens. The keys in the
 * file decide: a file that belongs to another attachment is treated as absent and never overwritten
 * or removed.
 */
final class CacheDirectory {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  /** The maximum length of a file name on Linux, in bytes (limits.h). */
  static final int NAME_MAX = 255;

  /**
   * How long a file may stay incomplete because it is being written: by an ADD of a network whose
   * name begins with this one's, or by libcni, which does not write atomically.
   */
  private static final Duration WRITE_TIME = Duration.ofSeconds(1);

  private final Path path;
  private final FileRecycler recycler;

  CacheDirectory(Path path, FileRecycler recycler) {
    this.path = path;
    this.recycler = recycler;
  }

  /** Returns a pool of the files of deleted attachments. */
  static FileRecycler recycler(Path cache, int capacity) {
    return new FileRecycler(
        TemporaryFiles.directory(cache), TemporaryFiles.RECYCLED_PREFIX, capacity);
  }

  Path path() {
    return path;
  }

  /**
   * Returns the name of an attachment's file. Each part has been checked not to contain a
   * separator.
   */
  static String fileName(String network, AttachmentId id) {
    return network + "-" + id.containerId() + "-" + id.interfaceName();
  }

  /** Returns the file of an entry that {@link ResultCache#requireStorable} has accepted. */
  Path file(ResultCacheEntry entry) {
    return path.resolve(fileName(entry.network(), entry.attachment().id()));
  }

  /** Returns the file of an attachment; absent if no file can have its name. */
  Optional<Path> file(String network, AttachmentId id) {
    String name = fileName(network, id);
    if (name.getBytes(StandardCharsets.UTF_8).length > NAME_MAX) {
      return Optional.empty();
    }
    try {
      return Optional.of(path.resolve(name));
    } catch (InvalidPathException e) { // characters that the file system's encoding lacks
      return Optional.empty();
    }
  }

  /**
   * Writes the file of an entry, which appears with its whole content or not at all.
   *
   * @throws IOException if it cannot be written
   */
  void write(ResultCacheEntry entry, byte[] content, TemporaryFiles temporary) throws IOException {
    AtomicFiles.createDirectories(path);
    AtomicFiles.write(file(entry), temporary.newFile(entry.network()), content);
  }

  /**
   * Returns whether the directory has an entry of the attachment that can be read.
   *
   * @throws CniException code 5 if that cannot be decided
   */
  boolean has(String network, AttachmentId id) throws CniException {
    try {
      return get(network, id).isPresent();
    } catch (CniException e) {
      if (e.is(ErrorCode.DECODING_FAILURE)) {
        return false;
      }
      throw e;
    }
  }

  /**
   * Returns the entry of an attachment; absent if there is none, or only a bare result.
   *
   * @throws CniException as {@link #read(Path)}
   */
  Optional<CachedAttachment> get(String network, AttachmentId id) throws CniException {
    Optional<ObjectNode> json = read(network, id);
    return json.isPresent() ? ResultCacheEntry.read(json.get()) : Optional.empty();
  }

  /**
   * Returns the content of an attachment's file; absent if there is no file or it is another
   * attachment's.
   *
   * @throws CniException as {@link #read(Path)}
   */
  Optional<ObjectNode> read(String network, AttachmentId id) throws CniException {
    Optional<Path> file = file(network, id);
    Optional<ObjectNode> json = file.isPresent() ? read(file.get()) : Optional.empty();
    return json.filter(
        it -> !ResultCacheEntry.isEntry(it) || ResultCacheEntry.isOf(it, network, id));
  }

  /**
   * Returns the content of a file; absent if it does not exist.
   *
   * @throws CniException code 6 if it can be no entry, whatever its content: it is not JSON, too
   *     large, or not a regular file; code 5 if it cannot be read
   */
  static Optional<ObjectNode> read(Path file) throws CniException {
    try {
      return Optional.of(Json.parse(RegularFiles.readState(file), "the result kept in " + file));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw new CniException(
          canBeEntry(file) ? ErrorCode.IO_FAILURE : ErrorCode.DECODING_FAILURE,
          "the result kept in " + file + " cannot be read: " + IoErrors.reason(e),
          e);
    }
  }

  private static boolean canBeEntry(Path file) {
    try {
      var attributes =
          Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      return attributes.isRegularFile() && attributes.size() <= RegularFiles.MAX_SIZE;
    } catch (IOException e) {
      return true;
    }
  }

  /**
   * Returns whether a file with an attachment's name is the entry of another attachment. A file
   * that cannot be read is not: it is taken for what its name says.
   */
  static boolean isForeign(Path file, String network, AttachmentId id) {
    try {
      return read(file).filter(json -> isForeign(json, network, id)).isPresent();
    } catch (CniException e) {
      return false;
    }
  }

  /** Returns whether the content is the entry of another attachment with the same file name. */
  static boolean isForeign(ObjectNode json, String network, AttachmentId id) {
    return ResultCacheEntry.isEntry(json)
        && !ResultCacheEntry.isOf(json, network, id)
        && ResultCacheEntry.idIfNamed(json, fileName(network, id)).isPresent();
  }

  /**
   * Returns all entries, in the order of the file names. Files that cannot be read or are not an
   * entry are skipped, as by libcni.
   *
   * @param containerId only the entries of that container
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

  /** Returns the files whose names contain a text, sorted. */
  private List<Path> files(String namePart) throws CniException {
    List<Path> files = new ArrayList<>();
    if (!Files.isDirectory(path)) {
      return files; // opening a FIFO would block
    }
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(path)) {
      for (Path file : stream) {
        if (nameOf(file).contains(namePart)) {
          files.add(file);
        }
      }
    } catch (NoSuchFileException | NotDirectoryException e) {
      return files;
    } catch (IOException | DirectoryIteratorException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, path + " cannot be read: " + IoErrors.reason(e), e);
    }
    Collections.sort(files);
    return files;
  }

  /**
   * Returns the files of a network that {@link #list} leaves out: those of which only the name is
   * known, because they are incomplete or garbage or name another attachment, and entries that do
   * not name their network. A file that may also be of another network is logged and left out.
   *
   * @param others the names of other networks
   * @return for each file the attachments that it may be of: where a container id or an interface
   *     name contains hyphens there are several
   * @throws CniException code 5 if the directory cannot be read, code 11 at an interrupt
   */
  List<Set<AttachmentId>> unlisted(String network, Set<String> others) throws CniException {
    String prefix = network + "-";
    List<Path> found = files(prefix);
    found.removeIf(file -> !nameOf(file).startsWith(prefix) || !isUnlisted(file));
    if (found.stream().anyMatch(CacheDirectory::isBeingWritten)) {
      try {
        Thread.sleep(WRITE_TIME);
      } catch (InterruptedException e) {
        throw CniException.interrupted("reading " + path);
      }
      found.removeIf(file -> !isUnlisted(file));
    }
    return found.stream()
        .map(file -> ids(file, network, others))
        .filter(ids -> !ids.isEmpty())
        .toList();
  }

  /**
   * Returns whether {@link #list} leaves out a file: it exists and is neither a bare result nor the
   * entry that its name says.
   */
  private static boolean isUnlisted(Path file) {
    try {
      Optional<ObjectNode> json = read(file);
      return json.isPresent()
          && (ResultCacheEntry.isEntry(json.get())
              ? !json.get().has("networkName")
                  || ResultCacheEntry.idIfNamed(json.get(), nameOf(file)).isEmpty()
              : !ResultCache.isBareResult(json.get()));
    } catch (CniException e) {
      return e.is(ErrorCode.DECODING_FAILURE);
    }
  }

  /** Returns the attachments of the network that a file may be of. */
  private static Set<AttachmentId> ids(Path file, String network, Set<String> others) {
    Optional<AttachmentId> id;
    try {
      id =
          read(file)
              .filter(json -> ResultCacheEntry.isEntry(json))
              .filter(json -> !json.has("networkName"))
              .flatMap(json -> ResultCacheEntry.idIfNamed(json, nameOf(file)));
    } catch (CniException e) {
      return idsByName(file, network, others);
    }
    return id.isEmpty()
        ? idsByName(file, network, others)
        : id.filter(it -> fileName(network, it).equals(nameOf(file))).map(Set::of).orElse(Set.of());
  }

  /** Returns what a file may be of by its name; nothing if that may be another network's. */
  private static Set<AttachmentId> idsByName(Path file, String network, Set<String> others) {
    String name = nameOf(file);
    Set<AttachmentId> ids = possibleIds(name, network);
    for (String other : others) {
      if (!ids.isEmpty() && !other.equals(network) && !possibleIds(name, other).isEmpty()) {
        LOG.get()
            .log(
                System.Logger.Level.WARNING,
                "GC of network %s leaves %s, which is unreadable and may be of network %s; remove it"
                        .formatted(network, file, other)
                    + " if none of its containers is attached");
        return Set.of();
      }
    }
    return ids;
  }

  /** Returns whether a file is so young that it may be incomplete because it is being written. */
  private static boolean isBeingWritten(Path file) {
    try {
      var modified = Files.getLastModifiedTime(file, LinkOption.NOFOLLOW_LINKS).toInstant();
      return modified.plus(WRITE_TIME).isAfter(Instant.now());
    } catch (IOException e) {
      return false; // it has been removed
    }
  }

  /** Returns the attachments of a network of which a file with this name may be. */
  private static Set<AttachmentId> possibleIds(String fileName, String network) {
    Set<AttachmentId> ids = new LinkedHashSet<>();
    if (!fileName.startsWith(network + "-")) {
      return ids;
    }
    String name = fileName.substring(network.length() + 1);
    for (int hyphen = name.indexOf('-'); hyphen >= 0; hyphen = name.indexOf('-', hyphen + 1)) {
      var id = new AttachmentId(name.substring(0, hyphen), name.substring(hyphen + 1));
      if (Names.isIdentifier(id.containerId()) && Names.isInterfaceName(id.interfaceName())) {
        ids.add(id);
      }
    }
    return ids;
  }

  private static String nameOf(Path file) {
    return String.valueOf(file.getFileName());
  }

  /**
   * Removes the file of an attachment, if there is one.
   *
   * @throws CniException code 5 if it cannot be removed
   */
  void remove(String network, AttachmentId id) throws CniException {
    Optional<Path> file = file(network, id);
    if (file.isEmpty() || isForeign(file.get(), network, id)) {
      return;
    }
    try {
      recycler.recycle(file.get());
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, file.get() + " cannot be removed: " + IoErrors.reason(e), e);
    }
  }
}
