package cni.api.internal;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;

/**
 * Writes of state files that other processes read: a file appears complete, by a rename of a
 * temporary file, or not at all. New files have mode 0600, new directories 0700.
 */
public final class AtomicFiles {
  private static final Set<StandardOpenOption> OVERWRITE =
      Set.of(
          StandardOpenOption.WRITE,
          StandardOpenOption.CREATE,
          StandardOpenOption.TRUNCATE_EXISTING);

  private static final Set<StandardOpenOption> IN_PLACE =
      Set.of(StandardOpenOption.WRITE, StandardOpenOption.CREATE);

  private static final FileAttribute<Set<PosixFilePermission>> OWNER_ONLY_FILE =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

  private static final FileAttribute<Set<PosixFilePermission>> OWNER_ONLY_DIRECTORY =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

  private AtomicFiles() {}

  /**
   * Creates or replaces a file atomically.
   *
   * @param temporary the file to write before the rename: on the same file system, and used by no
   *     other thread or process
   * @throws IOException if it fails; the file is then unchanged and the temporary file deleted
   */
  public static void write(Path file, Path temporary, byte[] content) throws IOException {
    try {
      writeUnpublished(temporary, content);
      rename(temporary, file);
    } catch (IOException e) {
      Files.deleteIfExists(temporary);
      throw e;
    }
  }

  /**
   * Creates or overwrites a file that other processes do not read before it is renamed or linked.
   *
   * @throws IOException if it fails
   */
  public static void writeUnpublished(Path file, byte[] content) throws IOException {
    try (SeekableByteChannel channel = Files.newByteChannel(file, OVERWRITE, OWNER_ONLY_FILE)) {
      writeAll(channel, content);
    }
  }

  /**
   * Extends an existing file in place.
   *
   * @param content the whole new content, which begins with the present content
   * @throws IOException if it fails or the file does not exist; the file is truncated to its former
   *     size if possible
   */
  public static void extend(Path file, byte[] content) throws IOException {
    try (SeekableByteChannel channel = Files.newByteChannel(file, StandardOpenOption.WRITE)) {
      long sizeBefore = channel.size();
      try {
        replaceContent(channel, content);
      } catch (IOException e) {
        if (channel.isOpen()) {
          channel.truncate(sizeBefore);
        }
        throw e;
      }
    }
  }

  /**
   * Creates a file or overwrites it in place, not atomically: for content that readers can verify.
   * Replacing a file by a rename can cost more than everything else, on file systems that first
   * flush the new file to disk.
   *
   * @throws IOException if it fails
   */
  public static void writeInPlace(Path file, byte[] content) throws IOException {
    try (SeekableByteChannel channel = Files.newByteChannel(file, IN_PLACE, OWNER_ONLY_FILE)) {
      replaceContent(channel, content);
    }
  }

  /** Writes content from the start of a newly opened file and truncates the rest. */
  static void replaceContent(SeekableByteChannel channel, byte[] content) throws IOException {
    writeAll(channel, content);
    if (channel.size() > content.length) {
      channel.truncate(content.length);
    }
  }

  static void writeAll(SeekableByteChannel channel, byte[] content) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(content);
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  /**
   * Renames a complete file atomically, replacing the target if it exists.
   *
   * @throws IOException if it fails; both files are then unchanged
   */
  public static void rename(Path file, Path target) throws IOException {
    Files.move(file, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /**
   * Creates a directory and its parents unless they exist.
   *
   * @throws IOException if it fails
   */
  public static void createDirectories(Path directory) throws IOException {
    if (!Files.isDirectory(directory)) {
      Files.createDirectories(directory, OWNER_ONLY_DIRECTORY);
    }
  }
}
