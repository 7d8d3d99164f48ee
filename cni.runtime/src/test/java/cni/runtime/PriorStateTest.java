// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Json;
import cni.api.internal.BootId;
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
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/**
 * An attachment exists before its ADD only if its stored result can be read and is of this boot.
 * Otherwise an ADD that fails is rolled back.
 */
class PriorStateTest {
  private static final Attachment ATTACHMENT =
      Attachment.of("c1", Path.of("/run/netns/c1"), "eth0");

  private static final String OTHER_BOOT = "00000000-0000-4000-8000-000000000000";

  private FileSystem files;
  private Path result;
  private Path journal;

  @BeforeEach
  void open() throws IOException {
    files =
        Jimfs.newFileSystem(
            Configuration.unix().toBuilder().setAttributeViews("basic", "posix").build());
    Files.createDirectories(files.getPath("/net.d"));
    result = files.getPath("/cache/results/n-c1-eth0");
    journal = files.getPath("/cache/begun/n-c1-eth0");
    Files.createDirectories(result.getParent());
    FakePlugin.CALLS.clear();
  }

  @AfterEach
  void close() throws IOException {
    FakePlugin.onCall = () -> {};
    files.close();
  }

  /** A network of two plugins, of which the second fails if it is asked to. */
  private Network network(boolean failing) throws IOException, CniException {
    Files.writeString(
        files.getPath("/net.d/n.conflist"),
        """
        { "cniVersion": "1.1.0", "name": "n",
          "plugins": [ { "type": "first" }, { "type": "second"%s } ] }
        """
            .formatted(failing ? ", \"ADD\": \"fail\"" : ""));
    return Cni.builder()
        .networks(files.getPath("/net.d"))
        .cache(files.getPath("/cache"))
        .build()
        .network("n");
  }

  private void failingAdd() {
    assertThrows(CniException.class, () -> network(true).add(ATTACHMENT));
  }

  private void assertRolledBack() {
    assertEquals("DEL first [first]", FakePlugin.CALLS.getLast());
    assertTrue(Files.notExists(result));
    assertTrue(Files.exists(journal)); // GC deletes what the earlier ADD may have left
  }

  private void assertNotRolledBack() {
    assertEquals("ADD second [first]", FakePlugin.CALLS.getLast());
    assertTrue(Files.exists(result));
  }

  /** Attaches, and changes what has been stored. */
  private void attached(String key, String value) throws Exception {
    network(false).add(ATTACHMENT);
    ObjectNode json = Json.parse(Files.readAllBytes(result), "stored");
    json.put(key, value);
    Files.write(result, Json.bytes(json));
  }

  /** Attaches as libcni does: without the key that names the boot. */
  private void attachedByLibcni(Instant time) throws Exception {
    network(false).add(ATTACHMENT);
    ObjectNode json = Json.parse(Files.readAllBytes(result), "stored");
    json.remove("bootId");
    Files.write(result, Json.bytes(json));
    Files.setLastModifiedTime(result, FileTime.from(time));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "\0\0\0\0",
        "no json",
        "{}",
        "{ \"cniVersion\": \"1.0.0\"",
        "{ \"cniVersion\": \"1.0.0\", \"ips\": 1 }",
        "{ \"kind\": \"cniCacheV1\", \"containerId\": \"c1\", \"ifName\": \"eth0\","
            + " \"networkName\": \"n\" }",
        "{ \"kind\": \"cniCacheV1\", \"containerId\": \"c1\", \"ifName\": \"eth0\","
            + " \"networkName\": \"n\", \"result\": { \"ips\": [{ \"address\": \"x\" }] } }",
        "{ \"kind\": \"cniCacheV1\", \"containerId\": \"c9\", \"ifName\": \"eth0\","
            + " \"networkName\": \"n\", \"result\": { \"cniVersion\": \"1.0.0\" } }"
      })
  void failedAddIsRolledBackWhateverIsInItsResultFile(String content) throws Exception {
    Files.writeString(result, content);
    failingAdd();
    assertRolledBack();
    network(false).delete(ATTACHMENT);
    assertTrue(Files.notExists(journal));
  }

  @Test
  void failedAddIsRolledBackWhereTheResultFileIsALink() throws Exception {
    Files.createSymbolicLink(result, files.getPath("/nowhere"));
    failingAdd();
    assertRolledBack();
  }

  @Test
  void failedRepeatedAddLeavesAReadableAttachmentOfThisBoot() throws Exception {
    network(false).add(ATTACHMENT);
    failingAdd();
    assertNotRolledBack();
    Files.writeString(
        result, "{ \"cniVersion\": \"0.2.0\", \"ip4\": { \"ip\": \"10.1.0.3/16\" } }");
    failingAdd(); // a bare result, as of libcni before 0.8
    assertNotRolledBack();
  }

  @Test
  void resultOfAnEarlierBootIsNoAttachment() throws Exception {
    attached("bootId", OTHER_BOOT);
    failingAdd();
    assertRolledBack();
    FakePlugin.CALLS.clear();
    network(false).delete(ATTACHMENT);
    assertEquals(List.of("DEL second", "DEL first"), FakePlugin.CALLS);
  }

  @Test
  void resultOfLibcniIsOfAnEarlierBootOnlyIfItsFilePrecedesTheBoot() throws Exception {
    Instant boot = BootId.bootTime().orElseThrow();
    attachedByLibcni(boot);
    failingAdd();
    assertNotRolledBack();
    attachedByLibcni(boot.minusSeconds(1));
    failingAdd();
    assertRolledBack();
  }

  @Test
  void addReplacesTheResultOfAnEarlierBoot() throws Exception {
    attached("bootId", OTHER_BOOT);
    network(false).add(ATTACHMENT);
    String boot = Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip();
    assertEquals(
        boot, Json.parse(Files.readAllBytes(result), "stored").path("bootId").asString(""));
    assertFalse(Files.exists(journal));
    failingAdd();
    assertNotRolledBack();
  }

  /** If the process is killed, DEL and GC must not take the earlier result for this ADD's. */
  @Test
  void interruptedAddHasNoResultOfAnEarlierBoot() throws Exception {
    attached("bootId", OTHER_BOOT);
    Path copy = files.getPath("/copy");
    FakePlugin.onCall =
        () -> {
          assertTrue(Files.notExists(result));
          assertTrue(Files.exists(journal));
          try {
            Files.copy(journal, copy);
          } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
          }
          throw new IllegalStateException("stop");
        };
    failingAdd();
    FakePlugin.onCall = () -> {};
    FakePlugin.CALLS.clear();
    Files.copy(copy, journal, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    network(false).gc(Set.of());
    assertEquals(List.of("DEL second", "DEL first"), FakePlugin.CALLS.subList(0, 2));
    assertTrue(Files.notExists(journal));
  }
}
