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

/** State on disk that other processes read: a file appears whole or not at all. */
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
   * Writes a file, mode 0600, in place of the one that may be there.
   *
   * @param unfinished where it is until it is whole: on the same file system, and nobody else's
   * @throws IOException if that fails; then nothing is left under either name but what was there
   */
  public static void write(Path file, Path unfinished, byte[] content) throws IOException {
    try {
      writeUnpublished(unfinished, content);
      rename(unfinished, file);
    } catch (IOException e) {
      Files.deleteIfExists(unfinished);
      throw e;
    }
  }

  /**
   * Writes a file, mode 0600, that nobody reads before it is whole.
   *
   * @throws IOException if that fails
   */
  public static void writeUnpublished(Path file, byte[] content) throws IOException {
    try (SeekableByteChannel channel = Files.newByteChannel(file, OVERWRITE, OWNER_ONLY_FILE)) {
      writeAll(channel, content);
    }
  }

  /**
   * Writes over the beginning of a file that is there, and on from its end.
   *
   * @param content begins with what the file holds
   * @throws IOException if that fails or there is none; then the file is as it was, if that can be
   */
  public static void extend(Path file, byte[] content) throws IOException {
    try (SeekableByteChannel channel = Files.newByteChannel(file, StandardOpenOption.WRITE)) {
      long before = channel.size();
      try {
        replaceContent(channel, content);
      } catch (IOException e) {
        if (channel.isOpen()) {
          channel.truncate(before);
        }
        throw e;
      }
    }
  }

  /**
   * Writes a file, mode 0600, in its place: for what need not be whole, as replacing a file costs
   * more than all the rest where the file system first brings the new one to the disk.
   *
   * @throws IOException if that fails
   */
  public static void writeInPlace(Path file, byte[] content) throws IOException {
    try (SeekableByteChannel channel = Files.newByteChannel(file, IN_PLACE, OWNER_ONLY_FILE)) {
      replaceContent(channel, content);
    }
  }

  /** Gives a file that has just been opened this content and no more. */
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
   * Gives a whole file its name, in place of the file that may have it.
   *
   * @throws IOException if that fails; then both are as they were
   */
  public static void rename(Path file, Path name) throws IOException {
    Files.move(file, name, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /**
   * Makes a directory, mode 0700, and those above it, where they are not there yet.
   *
   * @throws IOException if that fails
   */
  public static void createDirectories(Path directory) throws IOException {
    if (!Files.isDirectory(directory)) {
      Files.createDirectories(directory, OWNER_ONLY_DIRECTORY);
    }
  }
}
