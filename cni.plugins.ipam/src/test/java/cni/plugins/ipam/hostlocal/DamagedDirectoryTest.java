// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.InetAddresses;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.plugins.ipam.NoOpPluginHost;
import cni.plugins.ipam.SpecialFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Reservation directories with files that no plugin writes, and leftovers of killed processes. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD) // a FIFO blocks its reader
class DamagedDirectoryTest {
  private static final String SECRET = "other\r\neth0";

  @TempDir private Path data;

  private Path directory;
  private Path victim;
  private PluginConfig config;

  @BeforeEach
  void createDirectory() throws Exception {
    config = AllocationLoop.config(data.toString());
    directory = Files.createDirectory(data.resolve("n"));
    victim = Files.writeString(data.resolve("victim"), SECRET);
  }

  private HostLocalPlugin plugin(boolean resident) {
    var plugin = new HostLocalPlugin();
    if (resident) {
      plugin.start(new NoOpPluginHost(data));
    }
    return plugin;
  }

  private AttachmentRequest request(String container) {
    return AllocationLoop.request(config, container);
  }

  private String add(HostLocalPlugin plugin, String container) throws CniException {
    return InetAddresses.format(
        plugin.add(request(container)).ips().getFirst().address().address());
  }

  private void gc(HostLocalPlugin plugin, String... containers) throws CniException {
    Set<AttachmentId> valid =
        Set.copyOf(Stream.of(containers).map(it -> new AttachmentId(it, "eth0")).toList());
    plugin.gc(new GcRequest(config, valid, request("x").context()));
  }

  private void status(HostLocalPlugin plugin) throws CniException {
    plugin.status(new NetworkRequest(config, request("x").context()));
  }

  private List<String> temporaryFiles() throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files
          .map(it -> String.valueOf(it.getFileName()))
          .filter(it -> it.startsWith(".unnamed"))
          .toList();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "DIRECTORY,false",
    "DIRECTORY,true",
    "FIFO,false",
    "FIFO,true",
    "SOCKET,false",
    "SOCKET,true",
    "LINK,false",
    "LINK,true"
  })
  void unreadableReservationIsTakenAndStopsNoVerb(SpecialFile kind, boolean resident)
      throws Exception {
    HostLocalPlugin plugin = plugin(resident);
    assertEquals("10.7.0.2", add(plugin, "before"));
    Path unreadable = directory.resolve("10.7.0.3");
    kind.create(unreadable, victim);
    assertEquals("10.7.0.4", add(plugin, "a"));
    plugin.check(request("a"));
    status(plugin);
    plugin.delete(request("a"));
    plugin.delete(request("other")); // the holder that the link's target names
    gc(plugin, "before");
    plugin.check(request("before"));
    assertTrue(kind.isAt(unreadable));
    assertFalse(Files.exists(directory.resolve("10.7.0.4")));
    assertEquals(SECRET, Files.readString(victim));
    plugin.stop();
  }

  @ParameterizedTest
  @EnumSource(SpecialFile.class)
  void lastReservedThatIsNoRegularFileIsIgnored(SpecialFile kind) throws Exception {
    Path last = directory.resolve("last_reserved_ip.0");
    kind.create(last, victim);
    HostLocalPlugin plugin = plugin(false);
    assertEquals("10.7.0.2", add(plugin, "a"));
    assertEquals("10.7.0.3", add(plugin, "b"));
    plugin.delete(request("a"));
    assertTrue(kind.isAt(last));
    assertEquals(SECRET, Files.readString(victim));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void plantedLinkInPlaceOfTheTemporaryFileIsNotFollowed(boolean resident) throws Exception {
    SpecialFile.LINK.create(directory.resolve(".unnamed"), victim);
    HostLocalPlugin plugin = plugin(resident);
    assertEquals("10.7.0.2", add(plugin, "a"));
    assertTrue(Files.isRegularFile(directory.resolve("10.7.0.2"), LinkOption.NOFOLLOW_LINKS));
    assertEquals(SECRET, Files.readString(victim));
    plugin.stop();
  }

  @ParameterizedTest
  @ValueSource(strings = {"\u0001\u0002garbage of a power loss", "-x\r\neth0", "a/b", "{\"a\":1}"})
  void garbageIsReleasedByGcOnly(String content) throws Exception {
    HostLocalPlugin plugin = plugin(false);
    assertEquals("10.7.0.2", add(plugin, "a"));
    Path garbage = directory.resolve("10.7.0.3");
    Files.write(garbage, content.getBytes(StandardCharsets.ISO_8859_1));
    assertEquals("10.7.0.4", add(plugin, "b"));
    plugin.delete(request("b"));
    assertTrue(Files.exists(garbage));
    gc(plugin, "a");
    assertFalse(Files.exists(garbage));
    plugin.check(request("a"));
  }

  @Test
  void gcRemovesTheTemporaryFilesOfDeadProcessesOnly() throws Exception {
    HostLocalPlugin resident = plugin(true);
    add(resident, "a");
    resident.delete(request("a"));
    List<String> kept = temporaryFiles();
    assertEquals(1, kept.size(), "the resident plugin keeps a released file for reuse");
    long pid = ProcessHandle.current().pid();
    for (String name : List.of("", ".0123.1", ".1-1.ab.1", "." + pid + "-7.ab.1", ".x-y.ab.1")) {
      Files.writeString(directory.resolve(".unnamed" + name), SECRET);
    }
    Files.createDirectories(directory.resolve(".unnamed.d/content"));
    gc(plugin(false));
    assertEquals(
        Set.of(kept.getFirst(), ".unnamed.d"), Set.copyOf(temporaryFiles()), "GC of an executable");
    Files.writeString(directory.resolve(".unnamed.0123.1"), SECRET);
    gc(resident);
    assertEquals(Set.of(kept.getFirst(), ".unnamed.d"), Set.copyOf(temporaryFiles()));
    add(resident, "b");
    assertEquals(List.of(".unnamed.d"), temporaryFiles(), "the kept file has been reused");
    resident.stop();
  }

  @Test
  void requestedAddressOfAnUnreadableFileIsRefusedWithTheReason() throws Exception {
    SpecialFile.FIFO.create(directory.resolve("10.7.0.3"), victim);
    AttachmentRequest plain = request("a");
    var wanted =
        new AttachmentRequest(
            config,
            new cni.api.Attachment(
                plain.attachment().id(),
                plain.attachment().namespace(),
                java.util.Map.of("IP", "10.7.0.3"),
                java.util.Map.of()),
            plain.prevResult(),
            plain.context());
    CniException e = assertThrows(CniException.class, () -> plugin(false).add(wanted));
    assertTrue(e.is(ErrorCode.TRY_AGAIN_LATER), e::getMessage);
    assertTrue(e.getMessage().contains("10.7.0.3: is a FIFO, socket or device"), e::getMessage);
  }

  /** GC of another process deletes temporary files while STATUS writes one. */
  @Test
  void statusSucceedsWhileTemporaryFilesAreDeleted() throws Exception {
    HostLocalPlugin plugin = plugin(false);
    var ended = new AtomicBoolean();
    Thread other =
        Thread.ofPlatform()
            .start(
                () -> {
                  while (!ended.get()) {
                    try {
                      gc(new HostLocalPlugin());
                    } catch (CniException e) {
                      throw new AssertionError(e);
                    }
                  }
                });
    try {
      for (int i = 0; i < 500; i++) {
        status(plugin);
      }
    } finally {
      ended.set(true);
      other.join();
    }
    assertEquals(List.of(), temporaryFiles());
  }
}
