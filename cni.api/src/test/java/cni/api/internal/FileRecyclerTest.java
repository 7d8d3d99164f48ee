// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.io.IOException;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FileRecyclerTest {
  private FileSystem files;
  private Path directory;

  @BeforeEach
  void open() throws IOException {
    files = Jimfs.newFileSystem(Configuration.unix());
    directory = Files.createDirectories(files.getPath("/kept"));
  }

  @AfterEach
  void close() throws IOException {
    files.close();
  }

  private Path file(String name, String content) throws IOException {
    return Files.writeString(directory.resolve(name), content);
  }

  private List<String> names() throws IOException {
    try (Stream<Path> stream = Files.list(directory)) {
      return stream.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void recycledFileGetsNewNameAndContent() throws Exception {
    try (var recycler = new FileRecycler(directory, ".recycled.", 2)) {
      Path a = file("a", "what it was, and longer than what it will be");
      assertTrue(recycler.recycle(a));
      assertFalse(Files.exists(a));
      Path recycled = directory.resolve(names().getFirst());
      assertEquals("", Files.readString(recycled).replace("\0", ""));
      assertTrue(recycler.reuse(directory.resolve("b"), "new".getBytes(UTF_8)));
      assertEquals("new", Files.readString(directory.resolve("b")));
      assertEquals(List.of("b"), names());
      assertFalse(recycler.reuse(directory.resolve("c"), "none is left".getBytes(UTF_8)));
      assertFalse(recycler.recycle(a));
    }
  }

  @Test
  void fileThatCannotBeKeptIsRemoved() throws Exception {
    Path nowhere = files.getPath("/nowhere");
    try (var recycler = new FileRecycler(nowhere, ".recycled.", 2)) {
      assertTrue(recycler.recycle(file("a", "a")));
      assertFalse(recycler.recycle(directory.resolve("a")));
      assertEquals(List.of(), names());
    }
  }

  @Test
  void noMoreFilesAreKeptThanTheCapacity() throws Exception {
    var recycler = new FileRecycler(directory, ".recycled.", 2);
    for (String name : List.of("a", "b", "c")) {
      recycler.recycle(file(name, name));
    }
    assertEquals(2, names().size());
    recycler.recycle(file("large", "x".repeat(5000)));
    assertEquals(2, names().size());
    recycler.close();
    assertEquals(List.of(), names());
  }

  @Test
  void largeFileIsNotKept() throws Exception {
    try (var recycler = new FileRecycler(directory, ".recycled.", 2)) {
      assertTrue(recycler.recycle(file("large", "x".repeat(5000))));
      assertEquals(List.of(), names());
    }
  }

  /** The names of pooled files show the process, by pid and start time. */
  @Test
  void filesOfProcessesThatHaveEndedAreSwept() throws Exception {
    try (var recycler = new FileRecycler(directory, ".recycled.", 2)) {
      recycler.recycle(file("a", "a"));
      String own = names().getFirst();
      Process other = new ProcessBuilder("sleep", "60").start();
      String pid = Long.toString(ProcessHandle.current().pid());
      String foreign = own.replace("." + pid + "-", "." + other.pid() + "-");
      file(foreign, "of an earlier process with the pid of a running one");
      String[] stat = Files.readString(Path.of("/proc/" + other.pid() + "/stat")).split(" ", -1);
      String running = ".recycled." + other.pid() + "-" + stat[21] + "-0123456789abcdef.1";
      file(running, "of a running process");
      file(".recycled.0123456789abcdef.1", "of an earlier version");
      file("b", "no pooled file");
      FileRecycler.sweep(directory, ".recycled.");
      assertEquals(List.of(own, running, "b").stream().sorted().toList(), names());
      other.destroyForcibly().waitFor();
      FileRecycler.sweep(directory, ".recycled.");
      assertEquals(List.of(own, "b"), names());
      FileRecycler.sweep(files.getPath("/nowhere"), ".recycled.");
    }
  }

  /** Opening a FIFO to overwrite it would wait for a reader. */
  @Test
  void onlyRegularFilesAreKept(@TempDir Path real) throws Exception {
    Path fifo = real.resolve("fifo");
    assertEquals(0, new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor());
    Path link = Files.createSymbolicLink(real.resolve("link"), real.resolve("nowhere"));
    try (var recycler = new FileRecycler(real, ".recycled.", 2)) {
      for (Path file : List.of(fifo, link)) {
        assertTrue(assertTimeoutPreemptively(Duration.ofSeconds(5), () -> recycler.recycle(file)));
      }
    }
    try (Stream<Path> left = Files.list(real)) {
      assertEquals(List.of(), left.toList());
    }
  }

  @Test
  void keptFileRemovedByAnotherProcessIsIgnored() throws Exception {
    try (var recycler = new FileRecycler(directory, ".recycled.", 2)) {
      recycler.recycle(file("a", "a"));
      Files.delete(directory.resolve(names().getFirst()));
      assertFalse(recycler.reuse(directory.resolve("b"), "b".getBytes(UTF_8)));
      assertEquals(List.of(), names());
      var elsewhere = new FileRecycler(files.getPath("/not/there"), ".recycled.", 2);
      assertTrue(elsewhere.recycle(file("c", "c")));
      assertEquals(List.of(), names());
    }
  }

  /** A file keeps its mode and its other names. */
  @Test
  void filesThatOtherUsersMayWriteToAreNotKept(@TempDir Path real) throws Exception {
    Path open = Files.writeString(real.resolve("open"), "by another program");
    Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rw-rw-rw-"));
    Path linked = real.resolve("linked");
    AtomicFiles.writeUnpublished(linked, "linked".getBytes(UTF_8));
    Path other = Files.createLink(real.resolve("other"), linked);
    Path own = real.resolve("own");
    AtomicFiles.writeUnpublished(own, "own".getBytes(UTF_8));
    try (var recycler = new FileRecycler(real, ".recycled.", 3)) {
      assertTrue(recycler.recycle(open));
      assertTrue(recycler.recycle(linked));
      assertFalse(recycler.reuse(real.resolve("new"), "new".getBytes(UTF_8)));
      assertEquals("linked", Files.readString(other));
      assertTrue(recycler.recycle(own));
      assertTrue(recycler.reuse(real.resolve("new"), "new".getBytes(UTF_8)));
    }
  }
}
