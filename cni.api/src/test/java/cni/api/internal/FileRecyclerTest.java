package cni.api.internal;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.io.IOException;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

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
}
