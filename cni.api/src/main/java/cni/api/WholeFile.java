package cni.api;

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

/** State on disk that other processes read: a file appears whole or not at all. */
public final class WholeFile {
  private static final Set<StandardOpenOption> OVERWRITE =
      Set.of(
          StandardOpenOption.WRITE,
          StandardOpenOption.CREATE,
          StandardOpenOption.TRUNCATE_EXISTING);

  private static final FileAttribute<Set<PosixFilePermission>> OWNERS_FILE =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

  private static final FileAttribute<Set<PosixFilePermission>> OWNERS_DIRECTORY =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

  private WholeFile() {}

  /**
   * Writes a file, mode 0600, in place of the one that may be there.
   *
   * @param unfinished where it is until it is whole: on the same file system, and nobody else's
   * @throws IOException if that fails; then nothing is left under either name but what was there
   */
  public static void write(Path file, Path unfinished, byte[] content) throws IOException {
    try {
      try (SeekableByteChannel channel = Files.newByteChannel(unfinished, OVERWRITE, OWNERS_FILE)) {
        ByteBuffer bytes = ByteBuffer.wrap(content);
        while (bytes.hasRemaining()) {
          channel.write(bytes);
        }
      }
      Files.move(
          unfinished, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      Files.deleteIfExists(unfinished);
      throw e;
    }
  }

  /**
   * Makes a directory, mode 0700, and those above it, where they are not there yet.
   *
   * @throws IOException if that fails
   */
  public static void prepare(Path directory) throws IOException {
    if (!Files.isDirectory(directory)) {
      Files.createDirectories(directory, OWNERS_DIRECTORY);
    }
  }
}
