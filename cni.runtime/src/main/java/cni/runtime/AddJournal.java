package cni.runtime;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.internal.AtomicFiles;
import cni.api.internal.FileRecycler;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The attachments whose ADD has started and neither stored its result nor been rolled back, in
 * {@code <cache>/begun}. While no ADD of the network is under way, an entry means that a process
 * died in the middle of one; GC then deletes the attachment. libcni does not read this directory.
 *
 * <p>An entry is the {@link ResultCacheEntry} without its result. When ADD succeeds the same file
 * gets the result and is renamed into the {@link ResultCache}.
 */
final class AddJournal {
  /**
   * The largest content that an entry is completed to in place, in bytes: one page, of the smallest
   * size that any machine has. A larger write may stop half-way when the process is killed.
   */
  static final int PAGE_SIZE = 4096;

  private final CacheDirectory directory;
  private final FileRecycler recycler;

  /**
   * Opens the journal; nothing is read or created yet.
   *
   * @param recycler provides the files of entries, and receives those that are removed
   */
  AddJournal(Path cache, FileRecycler recycler) {
    this.directory = new CacheDirectory(cache.resolve("begun"), recycler);
    this.recycler = recycler;
  }

  /**
   * Returns whether there is a readable entry of the attachment.
   *
   * @throws CniException as {@link CacheDirectory#has}
   */
  boolean has(String network, AttachmentId id) throws CniException {
    return directory.has(network, id);
  }

  /**
   * Adds an entry, before the first plugin is called. A process that dies within this method leaves
   * an incomplete file, for which GC calls DEL, although nothing has been done yet.
   *
   * @throws CniException code 5 if it cannot be written
   */
  void add(ResultCacheEntry entry) throws CniException {
    Path file = directory.file(entry);
    byte[] bytes = entry.bytes();
    try {
      try {
        write(file, bytes);
      } catch (NoSuchFileException e) {
        AtomicFiles.createDirectories(directory.path());
        AtomicFiles.writeUnpublished(file, bytes);
      }
    } catch (IOException e) {
      throw ResultCache.writeFailure(file, e);
    }
  }

  private void write(Path file, byte[] bytes) throws IOException {
    if (!recycler.reuse(file, bytes)) {
      AtomicFiles.writeUnpublished(file, bytes);
    }
  }

  /**
   * Turns an entry into a stored result: extends its file and renames it.
   *
   * @param bytes the complete content, which begins with that of the entry
   * @return false if that is not possible: the content is larger than a page, or the entry is gone,
   *     because another process removed it or the results have no directory yet
   */
  boolean promote(ResultCacheEntry entry, byte[] bytes, Path result) throws IOException {
    if (bytes.length > PAGE_SIZE) {
      return false;
    }
    Path file = directory.file(entry);
    try {
      AtomicFiles.extend(file, bytes);
      AtomicFiles.rename(file, result);
      return true;
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  /** Removes an entry whose result has been stored in another file. */
  void discard(ResultCacheEntry entry) throws IOException {
    Files.deleteIfExists(directory.file(entry));
  }

  /**
   * Removes the entry of an attachment, if there is one.
   *
   * @throws CniException code 5 if its file cannot be removed
   */
  void remove(String network, AttachmentId id) throws CniException {
    directory.remove(network, id);
  }

  /**
   * Returns all entries, as {@link CacheDirectory#list}.
   *
   * @throws CniException code 5 if the directory cannot be read
   */
  List<CachedAttachment> list() throws CniException {
    return directory.list(Optional.empty());
  }

  /** Returns the files of a network of which only the name is known, as {@link CacheDirectory}. */
  List<Set<AttachmentId>> unreadable(String network) throws CniException {
    return directory.unreadable(network);
  }
}
