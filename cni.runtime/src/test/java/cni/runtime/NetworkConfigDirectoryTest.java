// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Entries of the configuration directory that cannot be read, before the network asked for. */
class NetworkConfigDirectoryTest {
  private static final Duration DEADLINE = Duration.ofSeconds(5);

  @TempDir private Path temporary;

  private Path directory() throws IOException {
    return Files.createDirectories(temporary.resolve("net.d"));
  }

  private Path file(String name, String text) throws IOException {
    return Files.writeString(directory().resolve(name), text);
  }

  private static String network(String name, String type) {
    return "{ \"cniVersion\": \"1.1.0\", \"name\": \"%s\", \"plugins\": [{ \"type\": \"%s\" }] }"
        .formatted(name, type);
  }

  private Cni cni() throws IOException {
    return Cni.builder()
        .networks(directory())
        .executables()
        .pluginDirectories()
        .cache(temporary.resolve("cache"))
        .build();
  }

  /** Puts something that cannot be read in place of a file. */
  private void plant(String kind, Path file) throws Exception {
    switch (kind) {
      case "dangling link" -> Files.createSymbolicLink(file, temporary.resolve("nowhere"));
      case "link to a directory" -> Files.createSymbolicLink(file, temporary);
      case "lock file of an editor" ->
          Files.createSymbolicLink(
              file.resolveSibling(".#" + file.getFileName()), Path.of("user@host.12345:1700000"));
      case "FIFO" ->
          assertEquals(0, new ProcessBuilder("mkfifo", file.toString()).start().waitFor());
      case "link to a device" -> Files.createSymbolicLink(file, Path.of("/dev/zero"));
      case "directory" -> Files.createDirectory(file);
      case "garbage" -> Files.write(file, new byte[] {0, 1, 2});
      case "truncated" -> Files.writeString(file, network("n", "second").substring(0, 40));
      case "huge" -> {
        Files.createFile(file);
        try (var content = new java.io.RandomAccessFile(file.toFile(), "rw")) {
          content.setLength(1L << 40); // sparse
        }
      }
      case "invalid" -> Files.writeString(file, "{ \"name\": \"other\", \"plugins\": 1 }");
      default -> throw new IllegalArgumentException(kind);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "dangling link",
        "link to a directory",
        "lock file of an editor",
        "FIFO",
        "link to a device",
        "directory",
        "garbage",
        "truncated",
        "huge",
        "invalid"
      })
  void unreadableEntryDoesNotAffectOtherNetworks(String kind) throws Exception {
    plant(kind, directory().resolve("10-x.conflist"));
    file("20-n.conflist", network("n", "first"));
    file("30-n.conflist", network("n", "second")); // is not used
    file("40-m.conf", "{ \"name\": \"m\", \"type\": \"second\" }");
    assertTimeoutPreemptively(
        DEADLINE,
        () -> {
          try (Cni cni = cni()) {
            assertEquals("first", cni.network("n").config().plugins().getFirst().type());
            assertEquals("second", cni.network("m").config().plugins().getFirst().type());
            assertEquals(List.of("n", "m"), cni.networks().stream().map(Network::name).toList());
          }
        });
  }

  @Test
  void unreadableEntryIsTheErrorOfANetworkThatNoOtherFileDefines() throws Exception {
    plant("FIFO", directory().resolve("20-x.conflist"));
    plant("garbage", directory().resolve("30-x.conflist"));
    try (Cni cni = cni()) {
      CniException e =
          assertTimeoutPreemptively(
              DEADLINE, () -> assertThrows(CniException.class, () -> cni.network("x")));
      assertEquals(5, e.code());
      assertTrue(e.getMessage().contains("20-x.conflist cannot be read: is a FIFO"), e::getMessage);
      assertEquals(5, assertThrows(CniException.class, cni::networks).code());
    }
  }

  @Test
  void unreadableEntryIsLoggedOnce() throws Exception {
    plant("dangling link", directory().resolve("10-x.conflist"));
    file("20-n.conflist", network("n", "first"));
    Logger logger = Logger.getLogger("cni.runtime");
    List<String> messages = Collections.synchronizedList(new ArrayList<>());
    Handler handler = collecting(messages);
    logger.addHandler(handler);
    try (Cni cni = cni()) {
      cni.network("n");
      cni.network("n");
      cni.networks();
    } finally {
      logger.removeHandler(handler);
    }
    messages.removeIf(it -> !it.contains("a network configuration is skipped"));
    assertEquals(1, messages.size(), messages::toString);
    assertTrue(
        messages.getFirst().contains("10-x.conflist cannot be read: no such file or directory"),
        messages::toString);
  }

  @Test
  void errorThatIsThrownIsNotLoggedAsWell() throws Exception {
    file("10-x.conflist", "{bad");
    Logger logger = Logger.getLogger("cni.runtime");
    List<String> messages = Collections.synchronizedList(new ArrayList<>());
    Handler handler = collecting(messages);
    logger.addHandler(handler);
    try (Cni cni = cni()) {
      assertThrows(CniException.class, () -> cni.network("n"));
      assertThrows(CniException.class, cni::networks);
    } finally {
      logger.removeHandler(handler);
    }
    assertEquals(List.of(), messages);
  }

  private static Handler collecting(List<String> messages) {
    return new Handler() {
      @Override
      public void publish(LogRecord record) {
        messages.add(record.getMessage());
      }

      @Override
      public void flush() {}

      @Override
      public void close() {}
    };
  }

  /** The first file that names a network decides, even if it is invalid: it may shadow another. */
  @Test
  void invalidFileIsTheErrorOfItsOwnNetwork() throws Exception {
    file("10-n.conflist", "{ \"name\": \"n\", \"plugins\": [] }");
    file("20-n.conflist", network("n", "first"));
    file("30-m.conflist", network("m", "second"));
    try (Cni cni = cni()) {
      assertEquals(7, assertThrows(CniException.class, () -> cni.network("n")).code());
      assertEquals(List.of("m"), cni.networks().stream().map(Network::name).toList());
    }
  }

  /** Left out of the chain, a plugin such as firewall would be missing without a word. */
  @Test
  void unreadableAdditionalPluginIsAnErrorOfItsNetwork() throws Exception {
    file("10-n.conflist", network("n", "first"));
    file("20-m.conflist", network("m", "second"));
    Path plugins = Files.createDirectory(directory().resolve("n"));
    plant("FIFO", plugins.resolve("10-more.conf"));
    Files.createDirectory(plugins.resolve("20-directory.conf"));
    try (Cni cni = cni()) {
      assertTimeoutPreemptively(
          DEADLINE,
          () -> assertEquals(5, assertThrows(CniException.class, () -> cni.network("n")).code()));
      assertEquals(List.of("m"), cni.networks().stream().map(Network::name).toList());
    }
  }

  @Test
  void linksAreFollowedWhereOthersCannotWrite() throws Exception {
    Path elsewhere = Files.writeString(temporary.resolve("real"), network("n", "first"));
    Files.createSymbolicLink(directory().resolve("10-n.conflist"), elsewhere);
    try (Cni cni = cni()) {
      assertEquals("n", cni.network("n").name());
      Files.setPosixFilePermissions(directory(), PosixFilePermissions.fromString("rwxrwxrwx"));
      CniException e = assertThrows(CniException.class, () -> cni.network("n"));
      assertTrue(e.getMessage().contains("mode 0777"), e::getMessage);
    }
  }
}
