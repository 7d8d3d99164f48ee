// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.InetAddresses;
import cni.api.PluginConfig;
import cni.plugins.ipam.NoOpPluginHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Isolated;

/** A resident plugin, which caches a directory, notices what other processes change in it. */
@Isolated("counts the inotify instances of the process")
class ReservationCacheTest {
  @TempDir private Path data;

  private final HostLocalPlugin plugin = new HostLocalPlugin();
  private Path directory;
  private PluginConfig config;

  @BeforeEach
  void start() throws CniException {
    config = AllocationLoop.config(data.toString());
    directory = data.resolve("n");
    plugin.start(new NoOpPluginHost(data));
    assertEquals("10.7.0.2", add("known"));
  }

  @AfterEach
  void stop() {
    plugin.stop();
  }

  private AttachmentRequest request(String container) {
    return AllocationLoop.request(config, container);
  }

  private String add(String container) throws CniException {
    return add(config, container);
  }

  private String add(PluginConfig network, String container) throws CniException {
    AttachmentRequest request = AllocationLoop.request(network, container);
    return InetAddresses.format(plugin.add(request).ips().getFirst().address().address());
  }

  @Test
  void addressesReservedByOthersAreTaken() throws Exception {
    for (int i = 3; i < 40; i++) {
      Files.writeString(directory.resolve("10.7.0." + i), "others" + i + "\r\neth0");
    }
    assertEquals("10.7.0.40", add("next"));
    plugin.check(request("others20"));
    plugin.delete(request("others20"));
    assertFalse(Files.exists(directory.resolve("10.7.0.20")));
    CniException twice = assertThrows(CniException.class, () -> add("others21"));
    assertEquals(4, twice.code(), twice.getMessage());
  }

  @Test
  void interruptedAllocationLeaksNoAddress() throws Exception {
    for (int i = 0; i < 5; i++) {
      Thread.currentThread().interrupt();
      CniException e = assertThrows(CniException.class, () -> add("interrupted"));
      assertTrue(Thread.interrupted(), e::getMessage);
    }
    for (int i = 3; i < 8; i++) {
      assertEquals("10.7.0." + i, add("next" + i));
    }
  }

  @Test
  void recycledFilesOfADeadProcessAreRemoved() throws Exception {
    plugin.stop();
    Files.writeString(directory.resolve(".unnamed.0123.1"), "dead\r\neth0");
    plugin.start(new NoOpPluginHost(data));
    assertEquals("10.7.0.3", add("next"));
    assertFalse(Files.exists(directory.resolve(".unnamed.0123.1")));
  }

  @Test
  void addressesReleasedByOthersAreFree() throws Exception {
    Files.delete(directory.resolve("10.7.0.2"));
    Files.writeString(directory.resolve("last_reserved_ip.0"), "10.7.0.1");
    assertThrows(CniException.class, () -> plugin.check(request("known")));
    assertEquals("10.7.0.2", add("next"));
  }

  @Test
  void fileRewrittenByOthersIsReread() throws Exception {
    Files.writeString(directory.resolve("10.7.0.2"), "another\r\neth0");
    assertThrows(CniException.class, () -> plugin.check(request("known")));
    plugin.delete(request("known"));
    assertEquals("another\r\neth0", Files.readString(directory.resolve("10.7.0.2")));
    assertEquals("10.7.0.3", add("known"));
    Files.writeString(directory.resolve("10.7.0.3"), ""); // incomplete: free
    Files.writeString(directory.resolve("last_reserved_ip.0"), "10.7.0.2");
    assertEquals("10.7.0.3", add("next"));
  }

  @Test
  void renamedFileIsNoticed() throws Exception {
    Files.move(directory.resolve("10.7.0.2"), directory.resolve("10.7.0.3"));
    plugin.check(request("known"));
    assertEquals("10.7.0.4", add("next"));
    plugin.delete(request("known"));
    assertFalse(Files.exists(directory.resolve("10.7.0.3")));
  }

  @Test
  void replacedDirectoryIsReread() throws Exception {
    Files.move(directory, data.resolve("before"));
    Files.createDirectory(directory);
    assertEquals("10.7.0.2", add("other"));
    deleteAll(directory);
    assertEquals("10.7.0.2", add("third"));
    Path away = data.resolveSibling(data.getFileName() + "-away");
    Files.move(data, away); // inotify reports nothing about parent directories
    Files.createDirectories(directory);
    assertEquals("10.7.0.2", add("fourth"));
    deleteAll(away.resolve("n"));
    deleteAll(away.resolve("before"));
    Files.delete(away);
  }

  @Test
  void manyDirectoriesUseOneInotifyInstance() throws Exception {
    List<PluginConfig> configs = new ArrayList<>();
    for (int i = 0; i < 300; i++) {
      configs.add(AllocationLoop.config(data.resolve("many" + i).toString()));
      assertEquals("10.7.0.2", add(configs.get(i), "first"));
    }
    assertEquals(1, inotifyInstances());
    for (int i = 0; i < configs.size(); i += 50) {
      Path foreign = data.resolve("many" + i + "/n/10.7.0.3");
      Files.writeString(foreign, "another\r\neth0");
    }
    for (int i = 0; i < configs.size(); i++) {
      assertEquals(i % 50 == 0 ? "10.7.0.4" : "10.7.0.3", add(configs.get(i), "second"));
    }
  }

  private static int inotifyInstances() throws IOException {
    int count = 0;
    try (var descriptors = Files.list(Path.of("/proc/self/fd"))) {
      for (Path descriptor : descriptors.toList()) {
        if (Files.isSymbolicLink(descriptor)
            && Files.readSymbolicLink(descriptor).toString().equals("anon_inode:inotify")) {
          count++;
        }
      }
    }
    return count;
  }

  @Test
  void inotifyQueueOverflowCausesReread() throws Exception {
    Path file = directory.resolve("10.7.0.9");
    for (int i = 0; i < 20_000; i++) { // the queue holds 16384 events; equal neighbours are merged
      Files.writeString(directory.resolve(".noise" + i % 2), "x");
    }
    Files.writeString(file, "late\r\neth0");
    plugin.check(request("late"));
    assertEquals("10.7.0.3", add("next"));
  }

  @Test
  void restartedPluginRereadsTheDirectory() throws Exception {
    plugin.stop();
    plugin.start(new NoOpPluginHost(data));
    plugin.check(request("known"));
    assertEquals("10.7.0.3", add("next"));
  }

  private static void deleteAll(Path directory) throws IOException {
    try (var files = Files.list(directory)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(directory);
  }
}
