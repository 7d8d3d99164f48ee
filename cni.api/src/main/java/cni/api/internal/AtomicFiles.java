// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Writes of state files that other processes read: a file appears complete, by a rename of a
 * temporary file, or not at all. New files have mode 0600 whatever the umask, which can only take
 * permissions away. A symbolic link in place of a file is never followed: a user who may write to
 * the directory could make it name any file of the system. An interrupt of the thread does not
 * abort a write.
 */
public final class AtomicFiles {
  private static final Set<OpenOption> NEW =
      Set.of(StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW);

  private static final Set<OpenOption> EXISTING =
      Set.of(StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS);

  private static final FileAttribute<Set<PosixFilePermission>> OWNER_ONLY_FILE =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

  /** The usual block size of file systems, in bytes. */
  private static final int BLOCK = 4096;

  private static final LazyLogger LOG = new LazyLogger("cni.api");

  /** Existing directories whose owner and mode were examined. */
  private static final Set<Path> EXAMINED = ConcurrentHashMap.newKeySet();

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
   * Creates a file that other processes do not read before it is renamed or linked. What a dead
   * process left in its place is deleted.
   *
   * @throws IOException if it fails; there is then no file
   */
  public static void writeUnpublished(Path file, byte[] content) throws IOException {
    Uninterruptibly.withFile(() -> writeNew(file, content));
  }

  private static boolean writeNew(Path file, byte[] content) throws IOException {
    SeekableByteChannel created = createNew(file);
    try (created) {
      writeAll(created, content);
      return true;
    } catch (IOException e) {
      Files.deleteIfExists(file);
      throw e;
    }
  }

  /**
   * Writes a block to a new file and deletes it, to find out whether files can be written. If the
   * file's directory does not exist, uses the one in which it, or a parent, would be created.
   *
   * @param temporary the file, used by no other thread; another process may delete it at any time
   * @throws IOException if it cannot be written, such as on a full or read-only file system
   */
  public static void requireWritable(Path temporary) throws IOException {
    Path file = temporary.toAbsolutePath();
    Path directory = file.getParent();
    while (directory != null && Files.notExists(directory, LinkOption.NOFOLLOW_LINKS)) {
      directory = directory.getParent();
      file = directory == null ? file : directory.resolve(temporary.getFileName());
    }
    writeUnpublished(file, new byte[BLOCK]);
    Files.deleteIfExists(file);
  }

  private static SeekableByteChannel createNew(Path file) throws IOException {
    try {
      return Files.newByteChannel(file, NEW, OWNER_ONLY_FILE);
    } catch (FileAlreadyExistsException e) {
      Files.delete(file);
      return Files.newByteChannel(file, NEW, OWNER_ONLY_FILE);
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
    Uninterruptibly.withFile(() -> extendOnce(file, content));
  }

  private static boolean extendOnce(Path file, byte[] content) throws IOException {
    try (SeekableByteChannel channel = openExisting(file)) {
      long sizeBefore = channel.size();
      try {
        replaceContent(channel, content);
        return true;
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
    try {
      RegularFiles.requireRegular(file);
    } catch (NoSuchFileException e) {
      writeUnpublished(file, content);
      return;
    }
    overwrite(file, content);
  }

  /**
   * Overwrites an existing file in place, not atomically.
   *
   * @throws IOException if it fails or the file does not exist
   */
  static void overwrite(Path file, byte[] content) throws IOException {
    Uninterruptibly.withFile(
        () -> {
          try (SeekableByteChannel channel = openExisting(file)) {
            replaceContent(channel, content);
            return true;
          }
        });
  }

  /** Opens a file to overwrite it, without following a symbolic link. */
  static SeekableByteChannel openExisting(Path file) throws IOException {
    return Files.newByteChannel(file, EXISTING);
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
   * Creates a directory of mode 0700 and its parents unless they exist.
   *
   * @throws IOException if it fails
   * @see #createDirectories(Path, String)
   */
  public static void createDirectories(Path directory) throws IOException {
    createDirectories(directory, "rwx------");
  }

  /**
   * Creates a directory and its parents unless they exist. Warns, once per directory, if users
   * other than root and the user of this process may write to an existing one.
   *
   * @param permissions the permissions of new directories, whatever the umask, such as "rwxr-xr-x"
   * @throws IOException if it fails
   */
  public static void createDirectories(Path directory, String permissions) throws IOException {
    if (Files.isDirectory(directory)) {
      examine(directory);
      return;
    }
    Path parent = directory.getParent();
    if (parent != null && !Files.isDirectory(parent)) {
      createDirectories(parent, permissions);
    }
    Set<PosixFilePermission> mode = PosixFilePermissions.fromString(permissions);
    try {
      Files.createDirectory(directory, PosixFilePermissions.asFileAttribute(mode));
    } catch (FileAlreadyExistsException e) {
      if (!Files.isDirectory(directory)) {
        throw e;
      }
      return; // created by another process meanwhile
    }
    Files.setPosixFilePermissions(directory, mode);
  }

  /**
   * Warns, once in this process, if users other than root and the user of this process may write to
   * an existing directory of state files, or to one above it.
   *
   * @throws FileSystemException with a reason if it is a symbolic link that another user may have
   *     planted
   * @throws IOException if it does not exist or its attributes cannot be read
   */
  public static void examine(Path directory) throws IOException {
    if (EXAMINED.contains(directory)) {
      return;
    }
    Optional<String> objection = FileOwnership.objection(directory);
    Path parent = directory.toAbsolutePath().getParent();
    if (parent != null) {
      Optional<String> above = FileOwnership.objection(parent);
      if (above.isPresent() && Files.isSymbolicLink(directory)) {
        throw new FileSystemException(
            directory.toString(), null, "is a symbolic link, and " + above.get());
      }
      objection = objection.or(() -> above);
    }
    if (objection.isEmpty()) {
      objection = FileOwnership.objectionToPath(directory);
    }
    if (EXAMINED.add(directory) && objection.isPresent()) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "{0}: others can forge the state of CNI plugins there; make it root''s, with mode"
                  + " 0700 or 0755",
              objection.get());
    }
  }
}
