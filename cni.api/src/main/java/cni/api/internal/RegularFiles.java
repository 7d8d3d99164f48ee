// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.Channels;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Optional;
import java.util.Set;

/**
 * Reads of files whose type, size and owner are not known. A FIFO would block the reader, a device
 * may be endless, and in a directory that other users may write to, a symbolic link may name any
 * file.
 */
public final class RegularFiles {
  /** The size limit of state files and configuration files, in bytes. */
  public static final int MAX_SIZE = 16 << 20;

  private RegularFiles() {}

  /**
   * Reads a file of at most {@link #MAX_SIZE} bytes. Follows a symbolic link unless other users may
   * write to its directory.
   *
   * @throws java.nio.file.NoSuchFileException if the file, or the target of the link, does not
   *     exist
   * @throws FileSystemException with a reason if it is not a regular file, a link that is not
   *     followed, or larger
   * @throws IOException if it cannot be read
   */
  public static byte[] read(Path file) throws IOException {
    return read(file, MAX_SIZE);
  }

  /**
   * Reads a file like {@link #read(Path)}.
   *
   * @param maxSize the size limit, in bytes
   */
  public static byte[] read(Path file, int maxSize) throws IOException {
    BasicFileAttributes attributes = attributes(file);
    if (attributes.isSymbolicLink()) {
      requireTrustedDirectory(file);
      attributes = Files.readAttributes(file, BasicFileAttributes.class);
      requireRegular(file, attributes, maxSize);
      return readAtMost(file, maxSize, Set.of(StandardOpenOption.READ));
    }
    requireRegular(file, attributes, maxSize);
    return readAtMost(file, maxSize, Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS));
  }

  /**
   * Reads a file that only CNI plugins and runtimes write: like {@link #read(Path)}, but a symbolic
   * link is never followed.
   *
   * @throws FileSystemException with a reason if it is not a regular file, or too large
   * @throws IOException if it cannot be read
   */
  public static byte[] readState(Path file) throws IOException {
    requireRegular(file, attributes(file), MAX_SIZE);
    return readAtMost(file, MAX_SIZE, Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS));
  }

  /**
   * Does nothing if the file is a regular file and not a symbolic link.
   *
   * @throws FileSystemException with a reason if it is not
   * @throws IOException if it does not exist or its attributes cannot be read
   */
  static void requireRegular(Path file) throws IOException {
    requireRegular(file, attributes(file), Integer.MAX_VALUE);
  }

  private static BasicFileAttributes attributes(Path file) throws IOException {
    return Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
  }

  private static void requireTrustedDirectory(Path link) throws IOException {
    Path directory = link.toAbsolutePath().getParent();
    Optional<String> objection =
        directory == null ? Optional.empty() : FileOwnership.objection(directory);
    if (objection.isPresent()) {
      throw new FileSystemException(
          link.toString(), null, "is a symbolic link, and " + objection.get());
    }
  }

  private static void requireRegular(Path file, BasicFileAttributes attributes, int maxSize)
      throws IOException {
    if (!attributes.isRegularFile()) {
      String type =
          attributes.isDirectory()
              ? "directory"
              : attributes.isSymbolicLink() ? "symbolic link" : "FIFO, socket or device";
      throw new FileSystemException(file.toString(), null, "is a " + type + ", not a regular file");
    }
    if (attributes.size() > maxSize) {
      throw tooLarge(file, maxSize);
    }
  }

  private static byte[] readAtMost(Path file, int maxSize, Set<? extends OpenOption> options)
      throws IOException {
    return Uninterruptibly.withFile(() -> readOnce(file, maxSize, options));
  }

  private static byte[] readOnce(Path file, int maxSize, Set<? extends OpenOption> options)
      throws IOException {
    try (InputStream in = Channels.newInputStream(Files.newByteChannel(file, options))) {
      byte[] content = in.readNBytes(maxSize);
      if (in.read() >= 0) {
        throw tooLarge(file, maxSize); // it grows, or its size is not known (/proc)
      }
      return content;
    }
  }

  private static FileSystemException tooLarge(Path file, int maxSize) {
    return new FileSystemException(
        file.toString(), null, "is larger than " + maxSize + " bytes, the most that is read");
  }
}
