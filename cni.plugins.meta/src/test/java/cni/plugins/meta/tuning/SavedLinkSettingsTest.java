// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.tuning;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class SavedLinkSettingsTest {
  private static final AttachmentId LIVE = new AttachmentId("live", "eth0");
  private static final AttachmentId STALE = new AttachmentId("stale", "eth0");

  @TempDir private Path parent;

  private Path directory() {
    return parent.resolve("tuning");
  }

  private SavedLinkSettings settings() {
    return new SavedLinkSettings(directory());
  }

  private Path write(String name, String content, Duration age) throws IOException {
    Path file = Files.writeString(directory().resolve(name), content);
    return Files.setLastModifiedTime(file, FileTime.from(Instant.now().minus(age)));
  }

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(directory())) {
      return files.map(file -> String.valueOf(file.getFileName())).sorted().toList();
    }
  }

  @Test
  void gcRemovesWhatNobodyNeeds() throws Exception {
    settings().save("n", LIVE, Json.object());
    settings().save("n", STALE, Json.object());
    settings().save("other", new AttachmentId("elsewhere", "eth0"), Json.object());
    Duration old = Duration.ofHours(1);
    write("reference_eth0.json", "{\"mac\":\"02:00:00:00:00:01\"}", old);
    write("empty_eth0.json", "", old);
    write("torn_eth0.json", "{\"mac\":\"02:0", old);
    write("live_eth1.json", "", old);
    write("young_eth0.json", "", Duration.ZERO);
    write(".0123456789abcdef", "{", old);
    write(".0123456789abcde0", "{", Duration.ZERO);
    write("notes.txt", "", old);
    Files.createDirectory(directory().resolve("directory_eth0.json"));
    Files.createSymbolicLink(directory().resolve("link_eth0.json"), parent.resolve("target"));
    assertEquals(
        0,
        new ProcessBuilder("mkfifo", directory().resolve("fifo_eth0.json").toString())
            .start()
            .waitFor());

    settings().deleteStale("n", Set.of(LIVE, new AttachmentId("live", "eth1")));
    assertEquals(
        List.of(
            ".0123456789abcde0",
            "directory_eth0.json",
            "elsewhere_eth0.json",
            "fifo_eth0.json",
            "link_eth0.json",
            "live_eth0.json",
            "live_eth1.json",
            "notes.txt",
            "reference_eth0.json",
            "young_eth0.json"),
        names());
  }

  @Test
  void incompleteFileRestoresNothingAndIsDeleted() throws Exception {
    settings().save("n", LIVE, Json.object());
    for (String content : List.of("", "\0\0\0", "[]", "{\"mac\":", "{\"mac\":1}x")) {
      write("live_eth0.json", content, Duration.ZERO);
      assertTrue(settings().load(LIVE).isEmpty(), content);
    }
    settings().delete(LIVE);
    assertEquals(List.of(), names());
  }

  @Test
  void onlyRegularFilesAreRead() throws Exception {
    settings().save("n", LIVE, Json.object());
    Path secret = Files.writeString(parent.resolve("secret"), "{\"mac\":\"02:00:00:00:00:01\"}");
    Path file = directory().resolve("live_eth0.json");
    Files.delete(file);
    Files.createSymbolicLink(file, secret);
    CniException e = assertThrows(CniException.class, () -> settings().load(LIVE));
    assertEquals(5, e.code());
    assertTrue(String.valueOf(e.getMessage()).contains("symbolic link"), e::getMessage);
    settings().save("n", LIVE, Json.object()); // replaces the link, not what it names
    assertFalse(Files.isSymbolicLink(file));
    assertTrue(Files.readString(secret).contains("02:00"));
  }

  @Test
  void modesAreExplicit() throws Exception {
    settings().save("n", LIVE, Json.object());
    assertEquals("rwx------", mode(directory()));
    assertEquals("rw-------", mode(directory().resolve("live_eth0.json")));
  }

  private static String mode(Path file) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
  }
}
