package cni.api.internal;

import java.io.IOException;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;

/**
 * A pool of small deleted files that are reused for new ones by renaming. Finding an inode for a
 * new file can be slow: after many recent deletions ext4 without a journal examines every recently
 * deleted inode (recently_deleted in fs/ext4/ialloc.c), which can cost more than the rest of an
 * ADD.
 *
 * <p>Thread-safe. Other processes may delete the pooled files at any time.
 */
public final class FileRecycler implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.api");

  /** In bytes: one block. Larger files are deleted. */
  private static final int MAX_SIZE = 4096;

  private final Path directory;
  private final String prefix;
  private final int capacity;
  private final Deque<Path> recycled = new ArrayDeque<>();
  private int lastNumber;
  private boolean closed;

  /**
   * Creates an empty pool.
   *
   * @param directory the directory of the pooled files, on the same file system as all other files;
   *     it need not exist
   * @param prefix the prefix of the names of pooled files
   * @param capacity the maximum number of pooled files; 0 in a process that ends soon
   */
  public FileRecycler(Path directory, String prefix, int capacity) {
    this.directory = directory;
    this.prefix = prefix + Long.toHexString(ThreadLocalRandom.current().nextLong()) + ".";
    this.capacity = capacity;
  }

  /**
   * Writes content to a pooled file, if there is one, and renames it to {@code file}, replacing
   * that if it exists.
   *
   * @return whether there was a pooled file; if not, nothing has changed
   * @throws IOException if the file cannot be written
   */
  public boolean reuse(Path file, byte[] content) throws IOException {
    Path pooled = takeRecycled();
    if (pooled == null) {
      return false;
    }
    try {
      AtomicFiles.overwrite(pooled, content);
      AtomicFiles.rename(pooled, file);
      return true;
    } catch (NoSuchFileException e) {
      delete(pooled);
      return false; // the pooled file was deleted, or the parent directory of file does not exist
    } catch (IOException e) {
      delete(pooled);
      throw e;
    }
  }

  private synchronized @Nullable Path takeRecycled() {
    return recycled.poll();
  }

  /**
   * Deletes a file: moves it to the pool and overwrites its content with zeros, or removes it if
   * the pool is full.
   *
   * @return whether the file existed
   * @throws IOException if it cannot be deleted
   */
  public boolean recycle(Path file) throws IOException {
    Path pooled = reserveName();
    if (pooled == null) {
      return Files.deleteIfExists(file);
    }
    try {
      Files.move(file, pooled, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      // The pool's directory may not exist, or its file system may be full.
      return Files.deleteIfExists(file);
    }
    if (zero(pooled)) {
      keep(pooled);
    } else {
      delete(pooled);
    }
    return true;
  }

  private synchronized @Nullable Path reserveName() {
    return recycled.size() < capacity ? directory.resolve(prefix + ++lastNumber) : null;
  }

  private synchronized void keep(Path pooled) {
    if (closed) {
      delete(pooled);
    } else {
      recycled.push(pooled);
    }
  }

  /**
   * Overwrites the content with zeros, so that the file cannot be mistaken for the deleted one.
   *
   * @return false if it is too large or cannot be written
   */
  private static boolean zero(Path pooled) {
    try {
      return Uninterruptibly.withFile(() -> zeroOnce(pooled));
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "a deleted file is not kept for reuse", e);
      return false;
    }
  }

  private static boolean zeroOnce(Path pooled) throws IOException {
    try (SeekableByteChannel channel = AtomicFiles.openExisting(pooled)) {
      long size = channel.size();
      if (size > MAX_SIZE) {
        return false;
      }
      AtomicFiles.writeAll(channel, new byte[(int) size]);
      return true;
    }
  }

  /** Deletes a pooled file. One that cannot be deleted is found by later cleaning up. */
  private static void delete(Path pooled) {
    try {
      Files.deleteIfExists(pooled);
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "a file kept for reuse cannot be deleted", e);
    }
  }

  /** Deletes the pooled files, as far as possible. */
  @Override
  public synchronized void close() {
    closed = true;
    recycled.forEach(FileRecycler::delete);
    recycled.clear();
  }
}
