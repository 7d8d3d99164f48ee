package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** An ADD leaves word of itself before it does anything, and that becomes the result. */
class BegunTest {
  private static final Attachment ATTACHMENT =
      Attachment.of("c1", Path.of("/run/netns/c1"), "eth0");

  private FileSystem files;
  private Path note;
  private Path kept;
  private boolean noted;

  @BeforeEach
  void open() throws IOException {
    files =
        Jimfs.newFileSystem(
            Configuration.unix().toBuilder().setAttributeViews("basic", "posix").build());
    Files.createDirectories(files.getPath("/net.d"));
    note = files.getPath("/cache/begun/n-c1-eth0");
    kept = files.getPath("/cache/results/n-c1-eth0");
    FakePlugin.CALLS.clear();
    FakePlugin.onCall = () -> noted = Files.exists(note);
  }

  @AfterEach
  void close() throws IOException {
    FakePlugin.onCall = () -> {};
    files.close();
  }

  private Network network(String more) throws IOException, CniException {
    Files.writeString(
        files.getPath("/net.d/n.conflist"),
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"plugins\": [{ \"type\": \"first\"%s }] }"
            .formatted(more));
    return Cni.builder()
        .networks(files.getPath("/net.d"))
        .cache(files.getPath("/cache"))
        .build()
        .network("n");
  }

  private List<String> left(String directory) throws IOException {
    Path path = files.getPath("/cache").resolve(directory);
    if (!Files.exists(path)) {
      return List.of();
    }
    try (Stream<Path> stream = Files.list(path)) {
      return stream.map(file -> file.getFileName().toString()).toList();
    }
  }

  private void requireWhole() throws Exception {
    assertTrue(noted);
    assertEquals(1, network("").cachedResult(ATTACHMENT.id()).orElseThrow().interfaces().size());
    assertEquals(List.of(), left("begun"));
    assertEquals(List.of(), left("unfinished"));
    assertEquals(List.of("n-c1-eth0"), left("results"));
  }

  @Test
  void theNoteBecomesTheResult() throws Exception {
    network("").add(ATTACHMENT);
    requireWhole();
    network("").add(Attachment.of("c1", Path.of("/run/netns/c1"), "eth0"));
    assertFalse(noted); // there is a result already
    noted = true;
    requireWhole();
  }

  @Test
  void aResultOfMoreThanAPageIsWrittenBesideTheNote() throws Exception {
    network(", \"comment\": \"" + "x".repeat(5000) + "\"").add(ATTACHMENT);
    requireWhole();
  }

  @Test
  void aNoteThatSomebodyRemovesIsNotMissed() throws Exception {
    FakePlugin.onCall =
        () -> {
          try {
            noted = Files.deleteIfExists(note);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        };
    network("").add(ATTACHMENT);
    requireWhole();
  }

  @Test
  void nothingStaysOfAnAddThatIsTakenBack() throws Exception {
    assertThrows(CniException.class, () -> network(", \"ADD\": \"fail\"").add(ATTACHMENT));
    assertTrue(noted);
    assertEquals(List.of(), left("begun"));
    assertEquals(List.of(), left("results"));
  }

  @Test
  void whatAProcessThatDiedHasLeftIsCollected() throws Exception {
    network("").add(ATTACHMENT);
    Files.createDirectories(note.getParent());
    Files.move(kept, note); // as if it had died before the last step
    Path empty = note.resolveSibling("n-c2-eth0"); // or before the first
    Files.createFile(empty);
    Path young = note.resolveSibling("n-c3-eth0");
    Files.createFile(young);
    Files.setLastModifiedTime(empty, FileTime.from(Instant.now().minus(Duration.ofHours(2))));
    network("").collect(Set.of());
    assertEquals("DEL first", FakePlugin.CALLS.get(1));
    assertEquals(List.of("n-c3-eth0"), left("begun"));
  }
}
