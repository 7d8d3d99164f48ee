package cni.runtime;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.internal.FileRecycler;
import cni.api.internal.IoErrors;
import cni.api.internal.RegularFiles;
import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
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
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeSet;
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
  /** The maximum length of a file name on Linux, in bytes (limits.h). */
  static final int NAME_MAX = 255;

  private final Path path;
  private final FileRecycler recycler;

  CacheDirectory(Path path, FileRecycler recycler) {
    this.path = path;
    this.recycler = recycler;
  }

  /**
   * Returns the directory in which files are written before they are renamed to their final place.
   * It is not the directory of the results, because libcni reads every file in that.
   */
  static Path temporary(Path cache) {
    return cache.resolve("unfinished");
  }

  /**
   * Returns a pool of the files of deleted attachments in the temporary directory, where the files
   * of a dead process are removed by {@link AddJournal#sweep}.
   */
  static FileRecycler recycler(Path cache, int capacity) {
    return new FileRecycler(temporary(cache), "spare.", capacity);
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
   * Returns whether the directory has an entry of the attachment that can be read.
   *
   * @throws CniException code 5 or 11 if that cannot be decided
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
    return json.filter(it -> !isForeign(it, network, id));
  }

  /**
   * Returns the content of a file; absent if it does not exist.
   *
   * @throws CniException code 6 if it can be no entry, whatever its content: it is not JSON, too
   *     large, or not a regular file; code 5 if it cannot be read; code 11 if the thread is
   *     interrupted
   */
  static Optional<ObjectNode> read(Path file) throws CniException {
    try {
      return Optional.of(Json.parse(RegularFiles.readState(file), "the result kept in " + file));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (ClosedByInterruptException e) {
      throw CniException.interrupted("reading " + file);
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
        && ResultCacheEntry.fileName(json, network).equals(fileName(network, id));
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

  private SortedSet<Path> files(String namePart) throws CniException {
    var files = new TreeSet<Path>();
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(path)) {
      for (Path file : stream) {
        String name = String.valueOf(file.getFileName());
        if (name.contains(namePart)) {
          files.add(file);
        }
      }
    } catch (NoSuchFileException | NotDirectoryException e) {
      return files;
    } catch (IOException | DirectoryIteratorException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, path + " cannot be read: " + IoErrors.reason(e), e);
    }
    return files;
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
