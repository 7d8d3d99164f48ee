// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.internal.AtomicFiles;
import cni.api.internal.FileRecycler;
import cni.api.internal.IoErrors;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.ThreadLocalRandom;

/**
 * The files of a cache that are written before they are renamed to their final place, in {@code
 * <cache>/unfinished/<network>}, and those that a {@link FileRecycler} keeps, beside these
 * directories. They are not among the results, because libcni reads every file there.
 *
 * <p>The files in a network's directory are written under its {@link NetworkLock}. Those that GC
 * finds while it holds the lock exclusively were therefore left by processes that were killed.
 */
final class TemporaryFiles {
  /** The prefix of the names of recycled files. */
  static final String RECYCLED_PREFIX = "spare.";

  /** The age from which a file that is not of a network is known to be written no longer. */
  private static final Duration ABANDONED_AGE = Duration.ofHours(1);

  private final Path directory;

  /** Opens the directory of a cache; nothing is read or created yet. */
  TemporaryFiles(Path cache) {
    this.directory = directory(cache);
  }

  static Path directory(Path cache) {
    return cache.resolve("unfinished");
  }

  /**
   * Returns the path of a new file, in an existing directory.
   *
   * @throws IOException if the directory cannot be created
   */
  Path newFile(String network) throws IOException {
    Path parent = directory.resolve(network);
    AtomicFiles.createDirectories(parent);
    return newFile(parent);
  }

  private static Path newFile(Path parent) {
    return parent.resolve("%016x".formatted(ThreadLocalRandom.current().nextLong()));
  }

  /**
   * Requires that a file of the usual size can be written. Creates no directory: that is left to
   * the first ADD.
   *
   * @throws IOException if it cannot be written
   */
  void requireWritable(String network) throws IOException {
    Path parent = directory.resolve(network);
    if (Files.isDirectory(parent)) {
      AtomicFiles.examine(parent);
    }
    AtomicFiles.requireWritable(newFile(parent));
  }

  /**
   * Removes the files of processes that were killed: those of a network whose lock the caller holds
   * exclusively, recycled ones, and those that earlier versions left outside of the networks'
   * directories.
   *
   * @throws CniException code 5 if a directory cannot be read or a file cannot be removed
   */
  void sweep(String network) throws CniException {
    sweep(directory.resolve(network), _ -> true);
    sweep(directory, TemporaryFiles::isAbandoned);
    try {
      FileRecycler.sweep(directory, RECYCLED_PREFIX);
    } catch (IOException e) {
      throw failure(directory, e);
    }
  }

  private static boolean isAbandoned(Path file) throws IOException {
    Instant limit = Instant.now().minus(ABANDONED_AGE);
    return !String.valueOf(file.getFileName()).startsWith(RECYCLED_PREFIX)
        && Files.getLastModifiedTime(file, LinkOption.NOFOLLOW_LINKS).toInstant().isBefore(limit);
  }

  private static void sweep(Path directory, DirectoryStream.Filter<Path> filter)
      throws CniException {
    if (!Files.isDirectory(directory)) {
      return; // there is none yet; and opening a FIFO would block
    }
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      for (Path file : files) {
        if (!Files.isDirectory(file, LinkOption.NOFOLLOW_LINKS) && filter.accept(file)) {
          Files.deleteIfExists(file);
        }
      }
    } catch (NoSuchFileException | NotDirectoryException e) {
      return; // another process has just removed the file
    } catch (IOException | DirectoryIteratorException e) {
      throw failure(directory, e);
    }
  }

  private static CniException failure(Path directory, Exception e) {
    return new CniException(
        ErrorCode.IO_FAILURE, directory + " cannot be swept: " + IoErrors.reason(e), e);
  }
}
