// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.internal.AtomicFiles;
import cni.api.internal.LazyLogger;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;

/** Files of this host that several processes and threads write, each at any time. */
final class SharedFiles {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  private static final String TEMP_SUFFIX = ".tmp";

  /** The age from which a temporary file is one of a process that was killed. */
  private static final Duration MAX_AGE = Duration.ofHours(1);

  private SharedFiles() {}

  /**
   * Creates or replaces a file atomically, and its directory if it does not exist.
   *
   * @throws IOException if it fails; the file is then unchanged
   */
  static void write(Path file, byte[] content) throws IOException {
    Path directory = file.toAbsolutePath().getParent();
    if (directory != null) {
      AtomicFiles.createDirectories(directory);
    }
    String temporary =
        ".%s.%d.%d%s"
            .formatted(
                file.getFileName(),
                ProcessHandle.current().pid(),
                Thread.currentThread().threadId(),
                TEMP_SUFFIX);
    AtomicFiles.write(file, file.resolveSibling(temporary), content);
  }

  /** Deletes the temporary files of processes that were killed. A failure is logged. */
  static void deleteLeftovers(Path directory) {
    if (!Files.isDirectory(directory)) {
      return;
    }
    Instant oldest = Instant.now().minus(MAX_AGE);
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, ".*" + TEMP_SUFFIX)) {
      for (Path file : files) {
        if (Files.getLastModifiedTime(file).toInstant().isBefore(oldest)) {
          Files.deleteIfExists(file);
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "temporary files in " + directory + " are left", e);
    }
  }
}
