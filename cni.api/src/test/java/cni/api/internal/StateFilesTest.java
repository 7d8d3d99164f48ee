// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@link AtomicFiles}, {@link RegularFiles} and {@link FileOwnership} against hostile entries. */
class StateFilesTest {
  private static final byte[] CONTENT = "content".getBytes(UTF_8);

  @TempDir Path directory;

  private Path fifo() throws Exception {
    Path fifo = directory.resolve("fifo");
    assertEquals(0, new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor());
    return fifo;
  }

  private Path link(Path target) throws IOException {
    return Files.createSymbolicLink(directory.resolve("link"), target);
  }

  private static String permissions(Path file) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
  }

  private void openToOthers() throws IOException {
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxrwxrwx"));
  }

  @Test
  void plantedLinkIsReplacedAndItsTargetUnchanged() throws Exception {
    Path victim = Files.writeString(directory.resolve("victim"), "untouched");
    Path temporary = link(victim);
    AtomicFiles.write(directory.resolve("file"), temporary, CONTENT);
    assertEquals("untouched", Files.readString(victim));
    assertArrayEquals(CONTENT, Files.readAllBytes(directory.resolve("file")));
    assertEquals("rw-------", permissions(directory.resolve("file")));
  }

  @Test
  void writeInPlaceFollowsNoLink() throws Exception {
    Path victim = Files.writeString(directory.resolve("victim"), "untouched");
    Path link = link(victim);
    var error =
        assertThrows(FileSystemException.class, () -> AtomicFiles.writeInPlace(link, CONTENT));
    assertTrue(String.valueOf(error.getMessage()).contains("symbolic link"), error::getMessage);
    assertEquals("untouched", Files.readString(victim));
  }

  @Test
  void writeInPlaceDoesNotBlockOnFifo() throws Exception {
    Path fifo = fifo();
    assertThrows(FileSystemException.class, () -> AtomicFiles.writeInPlace(fifo, CONTENT));
  }

  @Test
  void newDirectoriesHaveTheirMode() throws Exception {
    AtomicFiles.createDirectories(directory.resolve("a/b"), "rwxrwxr-x");
    assertEquals("rwxrwxr-x", permissions(directory.resolve("a"))); // although the umask is 022
    assertEquals("rwxrwxr-x", permissions(directory.resolve("a/b")));
    AtomicFiles.createDirectories(directory.resolve("c"));
    assertEquals("rwx------", permissions(directory.resolve("c")));
  }

  @Test
  void directoryThatOthersMayHavePlantedAsLinkIsRefused() throws Exception {
    Path link = link(Files.createDirectory(directory.resolve("target")));
    AtomicFiles.createDirectories(link);
    Path planted = Files.createSymbolicLink(directory.resolve("planted"), link);
    openToOthers();
    var error =
        assertThrows(FileSystemException.class, () -> AtomicFiles.createDirectories(planted));
    assertTrue(String.valueOf(error.getMessage()).contains("mode 0777"), error::getMessage);
  }

  @Test
  void fileInPlaceOfDirectoryIsAnError() throws Exception {
    Path file = Files.writeString(directory.resolve("file"), "");
    assertThrows(IOException.class, () -> AtomicFiles.createDirectories(file));
  }

  @Test
  void onlyRegularFilesAreRead() throws Exception {
    Path fifo = fifo();
    for (Path file : new Path[] {fifo, directory, Path.of("/dev/zero")}) {
      var error = assertThrows(FileSystemException.class, () -> RegularFiles.read(file));
      assertTrue(
          String.valueOf(error.getMessage()).contains("not a regular file"), error::getMessage);
      assertThrows(FileSystemException.class, () -> RegularFiles.readState(file));
    }
    assertThrows(
        NoSuchFileException.class, () -> RegularFiles.read(directory.resolve("does-not-exist")));
  }

  @Test
  void largeFilesAreRefused() throws Exception {
    Path file = Files.write(directory.resolve("file"), CONTENT);
    assertArrayEquals(CONTENT, RegularFiles.read(file, CONTENT.length));
    assertThrows(FileSystemException.class, () -> RegularFiles.read(file, CONTENT.length - 1));
    // The size in the attributes of a file in /proc is 0.
    assertThrows(
        FileSystemException.class, () -> RegularFiles.read(Path.of("/proc/self/status"), 10));
  }

  @Test
  void linksAreFollowedOnlyWhereOthersCannotWrite() throws Exception {
    Path link = link(Files.write(directory.resolve("file"), CONTENT));
    assertArrayEquals(CONTENT, RegularFiles.read(link));
    assertThrows(FileSystemException.class, () -> RegularFiles.readState(link));
    openToOthers();
    var error = assertThrows(FileSystemException.class, () -> RegularFiles.read(link));
    assertTrue(String.valueOf(error.getMessage()).contains("mode 0777"), error::getMessage);
    assertArrayEquals(CONTENT, RegularFiles.read(directory.resolve("file")));
  }

  @Test
  void directoryOpenToOthersIsNotTrusted() throws Exception {
    Path file = Files.write(directory.resolve("file"), CONTENT);
    assertEquals(Optional.empty(), FileOwnership.objection(directory));
    assertEquals(Optional.empty(), FileOwnership.objectionToPath(file));
    openToOthers();
    assertEquals(
        Optional.of(directory + " may be written to by others (mode 0777)"),
        FileOwnership.objection(directory));
    assertEquals(
        Optional.of(directory.toRealPath() + " may be written to by others (mode 0777)"),
        FileOwnership.objectionToPath(file));
  }
}
