package cni.api.internal;

import static cni.api.internal.ApiLog.LOG;

import java.io.IOException;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;

/**
 * Small files that are not needed any more, which get another content and another name instead of
 * being removed and made anew. A file system may take long to find an inode for a new file: where
 * many were removed in the last minutes, ext4 without a journal looks at each of those
 * (recently_deleted in fs/ext4/ialloc.c), which can cost more than the rest of an ADD.
 *
 * <p>Any thread may use it. Whoever else removes the files that are kept does no harm.
 */
public final class FileRecycler implements AutoCloseable {
  /** In bytes: no more is written in one go, and no more than one block is kept. */
  private static final int MAX_SIZE = 4096;

  private final Path directory;
  private final String prefix;
  private final int capacity;
  private final Deque<Path> recycled = new ArrayDeque<>();
  private int last;
  private boolean closed;

  /**
   * Begins with none.
   *
   * @param directory where they are kept: on the file system of all the files
   * @param prefix what their names begin with
   * @param most how many are kept; 0 in a process that ends soon
   */
  public FileRecycler(Path directory, String prefix, int most) {
    this.directory = directory;
    this.prefix = prefix + Long.toHexString(ThreadLocalRandom.current().nextLong()) + ".";
    this.capacity = most;
  }

  /**
   * Gives a spare file, if there is one, that content and that name, in place of the file that may
   * have it.
   *
   * @return false if there is none: then nothing has happened
   * @throws IOException if the file cannot be written
   */
  public boolean reuse(Path file, byte[] content) throws IOException {
    Path spare = takeRecycled();
    if (spare == null) {
      return false;
    }
    try {
      fill(spare, content);
      AtomicFiles.rename(spare, file);
      return true;
    } catch (NoSuchFileException e) {
      remove(spare);
      return false; // somebody has cleaned up, or the directory of the file is not there
    } catch (IOException e) {
      remove(spare);
      throw e;
    }
  }

  private synchronized @Nullable Path takeRecycled() {
    return recycled.poll();
  }

  private static void fill(Path spare, byte[] content) throws IOException {
    try (SeekableByteChannel channel = Files.newByteChannel(spare, StandardOpenOption.WRITE)) {
      AtomicFiles.replaceContent(channel, content);
    }
  }

  /**
   * Removes a file. Its content is overwritten if it is kept.
   *
   * @return whether it was there
   * @throws IOException if it cannot be removed
   */
  public boolean recycle(Path file) throws IOException {
    Path spare = reserveName();
    if (spare == null) {
      return Files.deleteIfExists(file);
    }
    try {
      Files.move(file, spare, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      // There may be no directory of spare files, or no room for another name in it.
      return Files.deleteIfExists(file);
    }
    if (zero(spare)) {
      keep(spare);
    } else {
      remove(spare);
    }
    return true;
  }

  private synchronized @Nullable Path reserveName() {
    return recycled.size() < capacity ? directory.resolve(prefix + ++last) : null;
  }

  private synchronized void keep(Path spare) {
    if (closed) {
      remove(spare);
    } else {
      recycled.push(spare);
    }
  }

  /**
   * Nobody must take it for what it was. That the file has been removed is true whatever becomes of
   * this.
   */
  private static boolean zero(Path spare) {
    try (SeekableByteChannel channel = Files.newByteChannel(spare, StandardOpenOption.WRITE)) {
      long size = channel.size();
      if (size > MAX_SIZE) {
        return false;
      }
      AtomicFiles.writeAll(channel, new byte[(int) size]);
      return true;
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "a spare file is not kept", e);
      return false;
    }
  }

  /** A file that stays is found again by whoever cleans up. */
  private static void remove(Path spare) {
    try {
      Files.deleteIfExists(spare);
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "a spare file stays", e);
    }
  }

  /** Removes all that are kept, as far as that is possible. */
  @Override
  public synchronized void close() {
    closed = true;
    recycled.forEach(FileRecycler::remove);
    recycled.clear();
  }
}
