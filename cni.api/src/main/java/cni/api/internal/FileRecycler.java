// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import java.io.IOException;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Objects;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
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

  private static final int NOT_REUSABLE = -1;

  /** S_IFREG and mode 0600, which the files that are made of pooled ones must have. */
  private static final int PRIVATE_FILE = 0100600;

  /** The end of the names of pooled files: the process, the pool, a number. */
  private static final Pattern NAME =
      Pattern.compile("(" + ProcessIdentity.PATTERN + ")-[0-9a-f]+\\.\\d+");

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
    this.prefix = capacity == 0 ? prefix : prefix + ownPoolName();
    this.capacity = capacity;
  }

  private static String ownPoolName() {
    String pool = Long.toHexString(ThreadLocalRandom.current().nextLong());
    return ProcessIdentity.own() + "-" + pool + ".";
  }

  /**
   * Deletes the pooled files that processes left which were killed.
   *
   * @param directory the directory of pooled files; it need not exist
   * @param prefix the prefix of their names
   * @throws IOException if the directory cannot be read or a file cannot be deleted
   */
  public static void sweep(Path directory, String prefix) throws IOException {
    if (!Files.isDirectory(directory)) {
      return; // opening a FIFO would block
    }
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      for (Path file : files) {
        String name = String.valueOf(file.getFileName());
        if (name.startsWith(prefix)
            && !isInUse(name.substring(prefix.length()))
            && !Files.isDirectory(file, LinkOption.NOFOLLOW_LINKS)) {
          Files.deleteIfExists(file);
        }
      }
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
  }

  /**
   * Returns whether a running process keeps a pooled file, whose name is given without its prefix.
   */
  public static boolean isInUse(String nameWithoutPrefix) {
    Matcher name = NAME.matcher(nameWithoutPrefix);
    return name.matches() && ProcessIdentity.isAlive(name.group(1));
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
    int size = pooled == null ? NOT_REUSABLE : reusableSize(file);
    if (pooled == null || size == NOT_REUSABLE) {
      return Files.deleteIfExists(file);
    }
    try {
      Files.move(file, pooled, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      // The pool's directory may not exist, or its file system may be full.
      return Files.deleteIfExists(file);
    }
    if (zero(pooled, size)) {
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
   * Returns the size of a small regular file of mode 0600 that belongs to this user and has no
   * further name, otherwise {@link #NOT_REUSABLE}: a file keeps its mode, owner and names, and
   * other programs may have made the deleted one.
   */
  private static int reusableSize(Path file) {
    try {
      var attributes =
          Files.readAttributes(file, "unix:mode,uid,nlink,size", LinkOption.NOFOLLOW_LINKS);
      boolean isPrivate =
          Objects.equals(attributes.get("mode"), PRIVATE_FILE)
              && Objects.equals(attributes.get("uid"), FileOwnership.ownUid())
              && Objects.equals(attributes.get("nlink"), 1);
      return isPrivate ? smallSize(attributes.get("size")) : NOT_REUSABLE;
    } catch (UnsupportedOperationException | IllegalArgumentException e) {
      return reusableSizeWithoutOwner(file); // a file system without owners, such as jimfs in tests
    } catch (IOException e) {
      return NOT_REUSABLE;
    }
  }

  private static int reusableSizeWithoutOwner(Path file) {
    try {
      var attributes =
          Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      return attributes.isRegularFile() ? smallSize(attributes.size()) : NOT_REUSABLE;
    } catch (IOException e) {
      return NOT_REUSABLE;
    }
  }

  private static int smallSize(@Nullable Object size) {
    return size instanceof Long bytes && bytes <= MAX_SIZE ? bytes.intValue() : NOT_REUSABLE;
  }

  /**
   * Overwrites the content with zeros, so that the file cannot be mistaken for the deleted one.
   *
   * @return false if it cannot be written
   */
  private static boolean zero(Path pooled, int size) {
    try {
      return Uninterruptibly.withFile(() -> zeroOnce(pooled, size));
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "a deleted file is not kept for reuse", e);
      return false;
    }
  }

  private static boolean zeroOnce(Path pooled, int size) throws IOException {
    try (SeekableByteChannel channel = AtomicFiles.openExisting(pooled)) {
      AtomicFiles.writeAll(channel, new byte[size]);
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
