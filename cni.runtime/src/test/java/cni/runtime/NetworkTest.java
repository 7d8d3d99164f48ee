// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.Json;
import cni.api.Result;
import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.io.IOException;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ObjectNode;

class NetworkTest {
  private static final Attachment ATTACHMENT =
      Attachment.of("c1", Path.of("/run/netns/c1"), "eth0").withArgs(Map.of("K", "V"));

  @TempDir private Path executables;
  private FileSystem files;
  private Path directory;

  @BeforeEach
  void open() throws IOException {
    files =
        Jimfs.newFileSystem(
            Configuration.unix().toBuilder().setAttributeViews("basic", "posix").build());
    directory = Files.createDirectories(files.getPath("/net.d"));
    FakePlugin.CALLS.clear();
  }

  @AfterEach
  void close() throws IOException {
    files.close();
  }

  private void file(String name, String text) throws IOException {
    Files.writeString(directory.resolve(name), text);
  }

  private void chain(String first, String second) throws IOException {
    file(
        "n.conflist",
        """
        { "cniVersion": "1.0.0", "name": "n",
          "plugins": [ { "type": "first"%s }, { "type": "second"%s } ] }
        """
            .formatted(first, second));
  }

  private CniBuilder builder() {
    return Cni.builder()
        .networks(directory)
        .executables(executables)
        .cache(files.getPath("/cache"));
  }

  private Network network() throws CniException {
    return builder().build().network("n");
  }

  @Test
  void malformedArgumentsAreRefusedByAddButNotByDelete() throws Exception {
    chain("", "");
    var malformed =
        new Attachment(ATTACHMENT.id(), ATTACHMENT.namespace(), CniArgs.ofText("none"), Map.of());
    assertEquals(4, assertThrows(CniException.class, () -> network().add(malformed)).code());
    network().delete(malformed);
    assertEquals(List.of("DEL second", "DEL first"), FakePlugin.CALLS);
  }

  private CniException failure() {
    return assertThrows(CniException.class, () -> network().add(ATTACHMENT));
  }

  private Path cached() {
    return files.getPath("/cache/results/n-c1-eth0");
  }

  @Test
  void addAndCheckRunInChainOrderAndDelInReverse() throws Exception {
    chain("", "");
    Result result = network().add(ATTACHMENT);
    assertEquals(2, result.interfaces().size());
    network().check(ATTACHMENT);
    network().delete(ATTACHMENT);
    network().delete(ATTACHMENT);
    assertEquals(
        List.of(
            "ADD first",
            "ADD second [first]",
            "CHECK first [first, second]",
            "CHECK second [first, second]",
            "DEL second [first, second]",
            "DEL first [first, second]",
            "DEL second",
            "DEL first"),
        FakePlugin.CALLS);
  }

  @Test
  void cacheFileHasTheFormatOfLibcni() throws Exception {
    chain("", "");
    network().add(ATTACHMENT);
    ObjectNode json = Json.parse(Files.readAllBytes(cached()), "cache");
    String config =
        new String(
            Base64.getDecoder().decode(json.get("config").asString()),
            java.nio.charset.StandardCharsets.UTF_8);
    assertEquals(
        Json.parse(Files.readAllBytes(directory.resolve("n.conflist")), "config"),
        Json.parse(config, "kept"));
    json.remove("config");
    String bootId = Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip();
    assertEquals(bootId, json.remove("bootId").asString()); // the only key that libcni lacks
    assertEquals(
        Json.parse(
            """
            { "kind": "cniCacheV1", "containerId": "c1", "ifName": "eth0", "networkName": "n",
              "netns": "/run/netns/c1", "cniArgs": [["K", "V"]],
              "result": { "cniVersion": "1.0.0", "interfaces": [{ "name": "first" }, { "name": "second" }] } }
            """,
            "expected"),
        json);
    assertEquals(
        "rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(cached())));
    assertEquals(
        "rwx------",
        PosixFilePermissions.toString(Files.getPosixFilePermissions(cached().getParent())));
    network().delete(ATTACHMENT);
    assertFalse(Files.exists(cached()));
  }

  @Test
  void unreadableResultFailsCheckButNotDelete() throws Exception {
    chain("", "");
    Files.createDirectories(cached().getParent());
    Files.writeString(cached(), "{ broken");
    assertEquals(6, assertThrows(CniException.class, () -> network().check(ATTACHMENT)).code());
    network().delete(ATTACHMENT);
    assertFalse(Files.exists(cached()));
    Files.writeString(
        cached(), "{ \"cniVersion\": \"0.4.0\", \"interfaces\": [{ \"name\": \"old\" }] }");
    network().check(ATTACHMENT);
    assertEquals("CHECK first [old]", FakePlugin.CALLS.get(2));
  }

  @Test
  void failedAddRollsBackEarlierPluginsButNotTheFailedModule() throws Exception {
    chain("", ", \"ADD\": \"fail\"");
    CniException e = failure();
    assertEquals(107, e.code());
    assertEquals("network n, ADD by second: as configured", e.getMessage());
    assertEquals("details", e.details());
    assertEquals(List.of("ADD first", "ADD second [first]", "DEL first [first]"), FakePlugin.CALLS);
    assertFalse(Files.exists(cached()));
  }

  @Test
  void unexpectedExceptionOfAModuleIsReportedAndRolledBack() throws Exception {
    chain(", \"DEL\": \"fail\"", ", \"ADD\": \"throw\"");
    CniException e = failure();
    assertEquals(999, e.code());
    assertTrue(e.getMessage().contains("oops"), e::getMessage);
    assertEquals(
        List.of("ADD first", "ADD second [first]", "DEL second [first]", "DEL first [first]"),
        FakePlugin.CALLS);
    assertEquals("as configured", e.getSuppressed()[0].getMessage());
  }

  @Test
  void failedRepeatedAddLeavesTheExistingAttachment() throws Exception {
    chain("", "");
    network().add(ATTACHMENT);
    chain(", \"ADD\": \"fail\"", "");
    failure();
    assertTrue(Files.exists(cached()));
    assertEquals("ADD first", FakePlugin.CALLS.getLast());
    chain("", ", \"ADD\": \"fail\"");
    failure();
    assertEquals("ADD second [first]", FakePlugin.CALLS.getLast()); // no DEL of first follows
  }

  @Test
  void failedDeleteKeepsTheResult() throws Exception {
    chain(", \"DEL\": \"fail\"", "");
    network().add(ATTACHMENT);
    assertThrows(CniException.class, () -> network().delete(ATTACHMENT));
    assertTrue(Files.exists(cached()));
  }

  @Test
  void deadlineStopsTheChainButNotItsRollback() throws Exception {
    chain("", ", \"ADD\": \"slow\"");
    Network network = builder().timeout(Duration.ofMillis(100)).build().network("n");
    CniException e = assertThrows(CniException.class, () -> network.add(ATTACHMENT));
    assertEquals(11, e.code());
    assertEquals("DEL first [first]", FakePlugin.CALLS.getLast());
  }

  @Test
  void operationsOnOneContainerAreSerialized() throws Exception {
    chain(", \"ADD\": \"slow\"", "");
    Cni cni = builder().build();
    Network network = cni.network("n");
    var started = new CountDownLatch(1);
    Thread other =
        Thread.ofPlatform()
            .start(
                () -> {
                  started.countDown();
                  try {
                    network.add(ATTACHMENT);
                  } catch (CniException e) {
                    FakePlugin.CALLS.add(e.getMessage());
                  }
                });
    started.await();
    while (FakePlugin.CALLS.isEmpty()) {
      Thread.sleep(1);
    }
    network.add(Attachment.of("c2", Path.of("/run/netns/c2"), "eth0"));
    network.delete(ATTACHMENT);
    other.join();
    List<String> calls = List.copyOf(FakePlugin.CALLS);
    assertEquals("ADD first", calls.get(1)); // that of c2, during that of c1
    assertEquals(
        List.of("DEL second [first, second]", "DEL first [first, second]"),
        calls.subList(calls.size() - 2, calls.size()));
    assertEquals(0, cni.state().containerLocks().size());
  }

  @Test
  void unsupportedVersionIsRefusedAndOldVersionsHaveNoCheck() throws Exception {
    file(
        "n.conflist",
        "{ \"cniVersion\": \"0.3.0\", \"name\": \"n\", \"plugins\": [ { \"type\": \"first\" } ] }");
    CniException e = failure();
    assertEquals(1, e.code());
    assertTrue(
        e.getMessage().contains("0.3.0") && e.getMessage().contains("first supports"),
        e::getMessage);
    file(
        "n.conflist",
        "{ \"cniVersion\": \"0.3.1\", \"name\": \"n\", \"plugins\": [ { \"type\": \"first\" } ] }");
    network().add(ATTACHMENT);
    assertEquals(1, assertThrows(CniException.class, () -> network().check(ATTACHMENT)).code());
    network().delete(ATTACHMENT);
    assertEquals("DEL first", FakePlugin.CALLS.getLast()); // DEL has no prevResult before 0.4.0
  }

  @Test
  void configurationFilesAreReadInTheOrderOfLibcni() throws Exception {
    file("10-a.conf", "{ \"name\": \"n\", \"type\": \"second\" }");
    file("20-b.json", "{ \"name\": \"m\", \"type\": \"second\" }");
    file("99-z.conflist", "{ \"name\": \"n\", \"plugins\": [ { \"type\": \"first\" } ] }");
    file("ignored.txt", "x");
    Files.createDirectory(directory.resolve("dir.conflist"));
    Cni cni = builder().build();
    assertEquals("first", cni.network("n").config().plugins().getFirst().type());
    assertEquals("second", cni.network("m").config().plugins().getFirst().type());
    assertEquals(List.of("n", "m"), cni.networks().stream().map(Network::name).toList());
    file(
        "00-later.conflist", "{ \"name\": \"later\", \"cniVersion\": \"9.0.0\", \"plugins\": [] }");
    cni.network("n");
    CniException none = assertThrows(CniException.class, () -> cni.network("x"));
    assertTrue(none.getMessage().contains("n, n, m"), none::getMessage);
    CniException gone =
        assertThrows(
            CniException.class,
            () -> builder().networks(files.getPath("/none")).build().network("n"));
    assertTrue(gone.getMessage().contains("/none does not exist"), gone::getMessage);
    CniException noFile =
        assertThrows(CniException.class, () -> cni.network(directory.resolve("none.conf")));
    assertEquals(5, noFile.code());
    assertEquals(
        directory + "/none.conf cannot be read: no such file or directory", noFile.getMessage());
  }

  @Test
  void moduleWinsUnlessExecutableIsPreferred() throws Exception {
    Path file = executables.resolve("first");
    Files.writeString(
        file, "#!/bin/sh\necho '{\"cniVersion\":\"1.0.0\",\"dns\":{\"domain\":\"exec\"}}'\n");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    file(
        "n.conflist",
        "{ \"cniVersion\": \"1.0.0\", \"name\": \"n\", \"plugins\": [ { \"type\": \"first\" } ] }");
    assertEquals(1, network().add(ATTACHMENT).interfaces().size());
    Cni preferring = builder().forceExecutables("first", "second").build();
    assertEquals("exec", preferring.network("n").add(ATTACHMENT).dns().domain());
    List<PluginRegistry.AvailablePlugin> list = preferring.plugins().list();
    assertEquals(
        List.of("first", "first", "second", "settings"),
        list.stream().map(PluginRegistry.AvailablePlugin::type).toList());
    assertEquals(file.toString(), list.getFirst().origin().toString());
    CniException e = assertThrows(CniException.class, () -> preferring.plugins().find("second"));
    assertTrue(e.getMessage().contains("only executable plugins are allowed"), e::getMessage);
    CniException unknown =
        assertThrows(CniException.class, () -> preferring.plugins().find("third"));
    assertEquals(7, unknown.code());
    assertTrue(unknown.getMessage().contains(executables.toString()), unknown::getMessage);
  }
}
