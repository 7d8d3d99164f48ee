// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.io.IOException;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** GC removes what killed processes and losses of power left in the cache, and nothing else. */
class LeftoverFilesTest {
  private FileSystem files;
  private Path cache;

  @BeforeEach
  void open() throws IOException {
    files =
        Jimfs.newFileSystem(
            Configuration.unix().toBuilder().setAttributeViews("basic", "posix").build());
    cache = files.getPath("/cache");
    configure("n");
    FakePlugin.CALLS.clear();
  }

  private void configure(String network) throws IOException {
    Files.writeString(
        Files.createDirectories(files.getPath("/net.d")).resolve(network + ".conflist"),
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"%s\", \"plugins\": [{ \"type\": \"first\" }] }"
            .formatted(network));
  }

  @AfterEach
  void close() throws IOException {
    FakePlugin.onCall = () -> {};
    files.close();
  }

  private Cni cni() {
    return Cni.builder().networks(files.getPath("/net.d")).cache(cache).oneShot().build();
  }

  private Network network() throws CniException {
    return cni().network("n");
  }

  private static Attachment attachment(String container) {
    return Attachment.of(container, Path.of("/run/netns/" + container), "eth0");
  }

  private Path file(String path, String content) throws IOException {
    Path file = cache.resolve(path);
    Files.createDirectories(file.getParent());
    Files.writeString(file, content);
    return Files.setLastModifiedTime(file, FileTime.from(Instant.now().minusSeconds(10)));
  }

  private Set<String> left() throws IOException {
    try (Stream<Path> all = Files.walk(cache)) {
      return new TreeSet<>(
          all.filter(Files::isRegularFile).map(it -> cache.relativize(it).toString()).toList());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "results/n-c1-eth0|''",
        "results/n-c1-eth0|'\0\0\0'",
        "results/n-c1-eth0|{ \"kind\": \"cniCacheV1\", \"containerId\": \"c1\"",
        "results/n-c1-eth0|{}",
        "begun/n-c1-eth0|''",
        "begun/n-c1-eth0|garbage",
        "begun/n-c1-eth0|{ \"kind\": \"cniCacheV1\""
      })
  void fileOfWhichOnlyTheNameIsKnownIsDeletedAsItsAttachment(String path, String content)
      throws Exception {
    file(path, content);
    network().add(attachment("living"));
    FakePlugin.CALLS.clear();
    network().gc(Set.of(new AttachmentId("living", "eth0")));
    assertEquals(List.of("DEL first", "GC first [living]"), FakePlugin.CALLS);
    assertEquals(Set.of("results/n-living-eth0"), left());
  }

  @Test
  void fileThatNamesAnotherAttachmentIsDeletedByItsName() throws Exception {
    network().add(attachment("c2"));
    Files.move(cache.resolve("results/n-c2-eth0"), cache.resolve("results/n-c1-eth0"));
    network().gc(Set.of(new AttachmentId("c2", "eth0")));
    assertEquals(Set.of(), left());
  }

  @Test
  void unreadableFileOfAValidAttachmentIsKept() throws Exception {
    file("results/n-a-b-eth0", "garbage");
    file("begun/n-c-eth-0", "");
    network().gc(Set.of(new AttachmentId("a-b", "eth0"), new AttachmentId("c", "eth-0")));
    assertEquals(List.of("GC first [a-b, c]"), FakePlugin.CALLS);
    assertEquals(Set.of("results/n-a-b-eth0", "begun/n-c-eth-0"), left());
  }

  @Test
  void everyMeaningOfAnAmbiguousNameIsDeleted() throws Exception {
    file("results/n-c-eth-0", "");
    network().gc(Set.of());
    assertEquals(List.of("DEL first", "DEL first", "GC first []"), FakePlugin.CALLS);
    assertEquals(Set.of(), left());
  }

  @ParameterizedTest
  @ValueSource(strings = {"results", "begun"})
  void incompleteFileThatMayBeOfAConfiguredNetworkIsKept(String directory) throws Exception {
    configure("n-a");
    configure("n-a-b");
    file(directory + "/n-a-c1-eth0", "{");
    file(directory + "/n-c1-eth0", "{");
    network().gc(Set.of());
    assertEquals(Set.of(directory + "/n-a-c1-eth0"), left());
    assertEquals(List.of("DEL first", "GC first []"), FakePlugin.CALLS);
  }

  @Test
  void incompleteFileThatMayBeOfANetworkInTheCacheIsKept() throws Exception {
    configure("n-a");
    cni().network("n-a").add(attachment("living"));
    Files.delete(files.getPath("/net.d/n-a.conflist"));
    file("results/n-a-c1-eth0", "{");
    network().gc(Set.of());
    assertEquals(Set.of("results/n-a-c1-eth0", "results/n-a-living-eth0"), left());
  }

  /** As libcni writes it before it knew networkName. */
  @Test
  void entryWithoutNetworkIsOfTheNetworkThatItsNameSays() throws Exception {
    String entry =
        "{ \"kind\": \"cniCacheV1\", \"containerId\": \"c1\", \"ifName\": \"eth0\","
            + " \"result\": { \"cniVersion\": \"1.0.0\" } }";
    file("results/n-a-c1-eth0", entry);
    file("results/n-c1-eth0", entry);
    network().gc(Set.of(new AttachmentId("c1", "eth0")));
    assertEquals(Set.of("results/n-a-c1-eth0", "results/n-c1-eth0"), left());
    network().delete(attachment("a-c1"));
    assertEquals(Set.of("results/n-a-c1-eth0", "results/n-c1-eth0"), left());
    network().gc(Set.of());
    assertEquals(Set.of("results/n-a-c1-eth0"), left());
  }

  @Test
  void filesOfOtherNetworksAndBareResultsAreKept() throws Exception {
    file("results/m-c1-eth0", "garbage");
    file("results/n-c1-eth0", "{ \"cniVersion\": \"0.2.0\" }");
    file("results/n-c2-eth0", "{ \"ip4\": { \"ip\": \"10.1.0.3/16\" } }");
    file("results/unknown", "garbage");
    file("begun/m-c1-eth0", "");
    file("unfinished/m/0123456789abcdef", "{");
    Set<String> before = left();
    network().gc(Set.of());
    assertEquals(before, left());
    assertEquals(List.of("GC first []"), FakePlugin.CALLS);
  }

  /** Another process may be writing it: an ADD of network n-m, or libcni. */
  @Test
  void fileThatIsBeingWrittenIsReadAgain() throws Exception {
    network().add(attachment("c1"));
    String complete = Files.readString(cache.resolve("results/n-c1-eth0"));
    Path result = cache.resolve("results/n-m-c2-eth0");
    Files.writeString(result, "{");
    Thread writer =
        Thread.ofPlatform()
            .start(
                () -> {
                  try {
                    Thread.sleep(200);
                    String content =
                        complete
                            .replace("\"c1\"", "\"c2\"")
                            .replace("\"networkName\":\"n\"", "\"networkName\":\"n-m\"");
                    Files.writeString(result, content);
                  } catch (IOException | InterruptedException e) {
                    throw new IllegalStateException(e);
                  }
                });
    network().gc(Set.of(new AttachmentId("c1", "eth0")));
    writer.join();
    assertEquals(Set.of("results/n-c1-eth0", "results/n-m-c2-eth0"), left());
  }

  @Test
  void temporaryFilesOfDeadProcessesAreRemovedAtOnce() throws Exception {
    file("unfinished/n/0123456789abcdef", "{");
    file("unfinished/spare.1234567890abcdef.1", "of an earlier version");
    file("unfinished/spare.2147483646-1-1234567890abcdef.1", "of a process that does not exist");
    file("unfinished/spare.1-1-1234567890abcdef.1", "of an earlier process of the same pid");
    network().gc(Set.of());
    assertEquals(Set.of(), left());
  }

  @Test
  void recycledFilesOfALivingProcessAreKept() throws Exception {
    try (Cni cni = Cni.builder().networks(files.getPath("/net.d")).cache(cache).build()) {
      cni.network("n").add(attachment("c1"));
      Files.createDirectories(cache.resolve("unfinished"));
      cni.network("n").delete(attachment("c1"));
      Set<String> kept = left();
      assertEquals(1, kept.size(), kept::toString);
      assertTrue(kept.iterator().next().startsWith("unfinished/spare."), kept::toString);
      network().gc(Set.of());
      assertEquals(kept, left());
      cni.network("n").add(attachment("c1"));
      assertEquals(Set.of("results/n-c1-eth0"), left());
    }
  }
}
