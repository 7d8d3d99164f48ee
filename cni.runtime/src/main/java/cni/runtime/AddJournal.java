// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AttachmentId;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.internal.AtomicFiles;
import cni.api.internal.FileRecycler;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.Flock;
import java.io.IOException;
import java.nio.file.FileSystems;
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
  private final boolean isOnHost;

  /**
   * Opens the journal; nothing is read or created yet.
   *
   * @param recycler provides the files of entries, and receives those that are removed
   */
  AddJournal(Path cache, FileRecycler recycler) {
    this.directory = new CacheDirectory(cache.resolve("begun"), recycler);
    this.recycler = recycler;
    this.isOnHost = cache.getFileSystem().equals(FileSystems.getDefault());
  }

  /**
   * Returns the file of an entry, which the executables of its ADD keep locked; absent on an
   * in-memory file system, where files cannot be locked.
   */
  Optional<Path> lockFile(ResultCacheEntry entry) {
    return isOnHost ? Optional.of(directory.file(entry)) : Optional.empty();
  }

  /**
   * Waits until no executable of an interrupted ADD runs. One can outlive its runtime, for a short
   * time or if it has left the process group that the kernel kills ({@link CallContext#lockFile}).
   *
   * @return whether the attachment has an entry
   * @throws CniException code 11 if the deadline passes or the thread is interrupted, code 5 if it
   *     cannot be found out whether one runs
   */
  boolean awaitExecutables(String network, AttachmentId id, Deadline deadline) throws CniException {
    Optional<Path> file = directory.file(network, id);
    if (file.isEmpty() || !isOnHost) {
      return file.isPresent() && Files.exists(file.get());
    }
    try {
      Optional<Flock> lock = Flock.acquireExisting(file.get(), deadline.remaining());
      lock.ifPresent(Flock::close);
      return lock.isPresent();
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for the executables of an ADD that was interrupted");
    } catch (KernelException e) {
      requireNoExecutable(file.get(), e);
      return true;
    }
  }

  /**
   * Requires that the error of locking an entry proves that no executable has it locked: it is not
   * the regular file that an ADD makes. DEL reports whether it can be removed.
   */
  static void requireNoExecutable(Path file, KernelException e) throws CniException {
    if (e.is(Errno.EAGAIN)) {
      throw stillRunning(file);
    }
    // ELOOP is a symbolic link, ENXIO a socket, EINVAL another file that is not regular.
    if (!e.is(Errno.EINVAL) && !e.is(Errno.ELOOP) && !e.is(Errno.ENXIO) && !e.is(Errno.ENOTDIR)) {
      throw new CniException(
          e.is(Errno.EINTR) ? ErrorCode.TRY_AGAIN_LATER : ErrorCode.IO_FAILURE,
          file
              + " cannot be locked, so that a plugin's process of an earlier ADD may still run: "
              + e.getMessage(),
          e);
    }
  }

  private static CniException stillRunning(Path file) {
    return new CniException(
        ErrorCode.TRY_AGAIN_LATER,
        "a plugin's process of an earlier ADD, whose runtime has died, still ran at the deadline;"
            + " end the processes that \"fuser %s\" lists".formatted(file));
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
   * @throws IOException if the file cannot be written or renamed
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

  /**
   * Removes an entry whose result has been stored in another file.
   *
   * @throws IOException if the file cannot be removed
   */
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

  /**
   * Returns the files of a network that {@link #list} leaves out, as {@link
   * CacheDirectory#unlisted}.
   *
   * @throws CniException code 5 if the directory cannot be read, code 11 at an interrupt
   */
  List<Set<AttachmentId>> unlisted(String network, Set<String> others) throws CniException {
    return directory.unlisted(network, others);
  }
}
