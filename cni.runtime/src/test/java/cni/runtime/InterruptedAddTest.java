// SPDX-License-Identifier: Apache-2.0
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
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** ADD makes a journal entry before it calls plugins, and turns it into the result. */
class InterruptedAddTest {
  private static final Attachment ATTACHMENT =
      Attachment.of("c1", Path.of("/run/netns/c1"), "eth0");

  private FileSystem files;
  private Path journalFile;
  private Path resultFile;
  private boolean journaled;

  @BeforeEach
  void open() throws IOException {
    files =
        Jimfs.newFileSystem(
            Configuration.unix().toBuilder().setAttributeViews("basic", "posix").build());
    Files.createDirectories(files.getPath("/net.d"));
    journalFile = files.getPath("/cache/begun/n-c1-eth0");
    resultFile = files.getPath("/cache/results/n-c1-eth0");
    FakePlugin.CALLS.clear();
    FakePlugin.onCall = () -> journaled = Files.exists(journalFile);
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

  private List<String> filesIn(String directory) throws IOException {
    Path path = files.getPath("/cache").resolve(directory);
    if (!Files.exists(path)) {
      return List.of();
    }
    try (Stream<Path> stream = Files.walk(path)) {
      return stream
          .filter(Files::isRegularFile)
          .map(file -> file.getFileName().toString())
          .toList();
    }
  }

  private void assertCompleted() throws Exception {
    assertTrue(journaled);
    assertEquals(1, network("").cachedResult(ATTACHMENT.id()).orElseThrow().interfaces().size());
    assertEquals(List.of(), filesIn("begun"));
    assertEquals(List.of(), filesIn("unfinished"));
    assertEquals(List.of("n-c1-eth0"), filesIn("results"));
  }

  @Test
  void journalEntryBecomesTheResult() throws Exception {
    network("").add(ATTACHMENT);
    assertCompleted();
    network("").add(Attachment.of("c1", Path.of("/run/netns/c1"), "eth0"));
    assertFalse(journaled); // because there is a result already
    journaled = true;
    assertCompleted();
  }

  @Test
  void resultLargerThanAPageIsWrittenToANewFile() throws Exception {
    network(", \"comment\": \"" + "x".repeat(5000) + "\"").add(ATTACHMENT);
    assertCompleted();
  }

  @Test
  void addSucceedsWhenItsJournalEntryIsRemovedMeanwhile() throws Exception {
    FakePlugin.onCall =
        () -> {
          try {
            journaled = Files.deleteIfExists(journalFile);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        };
    network("").add(ATTACHMENT);
    assertCompleted();
  }

  @Test
  void rolledBackAddLeavesNoFiles() throws Exception {
    assertThrows(CniException.class, () -> network(", \"ADD\": \"fail\"").add(ATTACHMENT));
    assertTrue(journaled);
    assertEquals(List.of(), filesIn("begun"));
    assertEquals(List.of(), filesIn("results"));
  }

  @Test
  void gcDeletesAttachmentsOfAProcessThatDied() throws Exception {
    network("").add(ATTACHMENT);
    Files.createDirectories(journalFile.getParent());
    Files.move(resultFile, journalFile); // as if the process had died before the last step
    network("").gc(Set.of());
    assertEquals("DEL first", FakePlugin.CALLS.get(1));
    assertEquals(List.of(), filesIn("begun"));
  }

  @Test
  void failedAddKeepsTheJournalEntryOfAnInterruptedOne() throws Exception {
    network("").add(ATTACHMENT);
    Files.createDirectories(journalFile.getParent());
    Files.move(resultFile, journalFile);
    assertThrows(CniException.class, () -> network(", \"ADD\": \"fail\"").add(ATTACHMENT));
    assertEquals(List.of("n-c1-eth0"), filesIn("begun"));
    assertEquals(List.of(), filesIn("results"));
  }

  @Test
  void addRemovesTheJournalEntryOfAnInterruptedOne() throws Exception {
    network("").add(ATTACHMENT);
    Files.createDirectories(journalFile.getParent());
    Files.move(resultFile, journalFile);
    network("").add(ATTACHMENT);
    assertEquals(List.of(), filesIn("begun"));
    assertEquals(List.of("n-c1-eth0"), filesIn("results"));
    Files.copy(resultFile, journalFile); // the ADD that stored the result died before removing it
    network("").add(ATTACHMENT);
    assertEquals(List.of(), filesIn("begun"));
    assertEquals(List.of("n-c1-eth0"), filesIn("results"));
  }
}
