// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Json;
import cni.api.SpecVersion;
import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Functions of libcni beside ADD, CHECK and DEL, and files that libcni has written. */
class LibcniCompatibilityTest {
  private static final Attachment FIRST =
      Attachment.of("c1", Path.of("/run/netns/c1"), "eth0").withArgs(Map.of("K", "V"));
  private static final Attachment SECOND = Attachment.of("c2", Path.of("/run/netns/c2"), "eth0");

  @TempDir private Path temporary;
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

  private Cni cni() {
    return Cni.builder()
        .networks(directory)
        .executables(temporary)
        .cache(files.getPath("/cache"))
        .build();
  }

  private Network network() throws CniException {
    return cni().network("n");
  }

  private void chain(String version, String more, String first, String second) throws IOException {
    file(
        "n.conflist",
        """
        { "cniVersion": "%s", "name": "n"%s,
          "plugins": [ { "type": "first"%s }, { "type": "second"%s } ] }
        """
            .formatted(version, more, first, second));
  }

  private void file(String name, String text) throws IOException {
    Path file = directory.resolve(name);
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
  }

  private void cached(String name, String text) throws IOException {
    Path results = Files.createDirectories(files.getPath("/cache/results"));
    Files.writeString(results.resolve(name), text);
  }

  @Test
  void gcDeletesStaleAttachmentsThenCallsEveryPlugin() throws Exception {
    chain("1.1.0", "", "", "");
    network().add(FIRST);
    network().add(SECOND);
    FakePlugin.CALLS.clear();
    network().gc(Set.of(SECOND.id()));
    assertEquals(
        List.of(
            "DEL second [first, second]",
            "DEL first [first, second]",
            "GC first [c2]",
            "GC second [c2]"),
        FakePlugin.CALLS);
    assertEquals(List.of("c2"), containers(cni().attachments()));
  }

  @Test
  void gcDeletesManyStaleAttachmentsBeforeCallingAnyPlugin() throws Exception {
    chain("1.1.0", "", "", "");
    for (int i = 0; i < 40; i++) {
      network().add(Attachment.of("stale-" + i, Path.of("/run/netns/stale-" + i), "eth0"));
    }
    network().add(SECOND);
    FakePlugin.CALLS.clear();
    network().gc(Set.of(SECOND.id()));
    List<String> calls = List.copyOf(FakePlugin.CALLS);
    assertEquals(82, calls.size());
    assertTrue(calls.subList(0, 80).stream().allMatch(it -> it.startsWith("DEL")), calls::toString);
    assertEquals(List.of("GC first [c2]", "GC second [c2]"), calls.subList(80, 82));
    assertEquals(List.of("c2"), containers(cni().attachments()));
  }

  private static List<String> containers(List<CachedAttachment> attachments) {
    return attachments.stream().map(it -> it.attachment().containerId()).toList();
  }

  @Test
  void gcContinuesAfterFailuresAndReportsAllOfThem() throws Exception {
    chain("1.1.0", "", ", \"GC\": \"fail\"", ", \"DEL\": \"fail\", \"GC\": \"throw\"");
    network().add(FIRST);
    CniException e = assertThrows(CniException.class, () -> network().gc(Set.of()));
    assertEquals(107, e.code());
    assertEquals(3, e.getSuppressed().length);
    for (String part : List.of("DEL by second", "GC by first", "GC by second: unexpected")) {
      assertTrue(e.getMessage().contains(part), e::getMessage);
    }
  }

  @Test
  void gcBeforeVersion110OnlyDeletesStaleAttachments() throws Exception {
    chain("1.0.0", "", "", "");
    network().add(FIRST);
    FakePlugin.CALLS.clear();
    network().gc(Set.of());
    assertEquals(
        List.of("DEL second [first, second]", "DEL first [first, second]"), FakePlugin.CALLS);
    network().add(FIRST);
    FakePlugin.CALLS.clear();
    chain("1.1.0", ", \"disableGC\": \"True\"", "", "");
    network().gc(Set.of());
    assertEquals(List.of(), FakePlugin.CALLS);
  }

  @Test
  void statusReportsTheFirstFailingPlugin() throws Exception {
    chain("1.1.0", "", "", ", \"STATUS\": \"fail\"");
    CniException e = assertThrows(CniException.class, () -> network().status());
    assertEquals(107, e.code());
    assertEquals(List.of("STATUS first", "STATUS second"), FakePlugin.CALLS);
    chain("1.0.0", "", ", \"STATUS\": \"fail\"", "");
    network().status(); // has no STATUS
  }

  @Test
  void cachedAttachmentsAreListedWithTheirArguments() throws Exception {
    chain("1.0.0", "", ", \"capabilities\": { \"mac\": true }", "");
    var capability = Json.parse("{ \"m\": [1, 2] }", "test").get("m");
    network().add(FIRST.withCapabilityArgs(Map.of("mac", capability)));
    network().add(SECOND);
    CachedAttachment kept = network().cachedAttachment(FIRST.id()).orElseThrow();
    assertEquals(FIRST.withCapabilityArgs(Map.of("mac", capability)), kept.attachment());
    assertEquals("n", kept.config().name());
    assertEquals(2, kept.result().interfaces().size());
    assertEquals(kept.result(), network().cachedResult(FIRST.id()).orElseThrow());
    assertEquals(List.of("c1", "c2"), containers(cni().attachments()));
    assertEquals(List.of("c2"), containers(cni().attachments("c2")));
    assertEquals(List.of(), containers(cni().attachments("c")));
    assertEquals(Optional.empty(), network().cachedAttachment(new AttachmentId("c3", "eth0")));
    assertEquals(4, assertThrows(CniException.class, () -> cni().attachments("../x")).code());
  }

  @Test
  void foreignCacheFilesAreReadOrSkipped() throws Exception {
    chain("1.0.0", "", "", "");
    String config =
        Base64.getEncoder()
            .encodeToString(
                "{\"cniVersion\":\"0.4.0\",\"name\":\"n\",\"type\":\"first\"}"
                    .getBytes(StandardCharsets.UTF_8));
    // As written by libcni 0.8 and podman: without netns, a result of 0.4.0, an unknown key.
    cached(
        "n-c1-eth0",
        """
        { "kind": "cniCacheV1", "containerId": "c1", "config": "%s", "ifName": "eth0",
          "networkName": "n", "cniArgs": [["IgnoreUnknown", "1"], ["K8S_POD_NAME", "p"]],
          "capabilityArgs": { "portMappings": [] }, "more": 1,
          "result": { "cniVersion": "0.4.0", "interfaces": [{ "name": "eth0", "sandbox": "/x" }],
            "ips": [{ "version": "4", "address": "10.1.0.2/16", "interface": 0 }] } }
        """
            .formatted(config));
    cached("n-c2-eth0", "{ \"ip4\": { \"ip\": \"10.1.0.3/16\" } }"); // a bare result of 0.2.0
    cached("n-c3-eth0", "{ \"kind\": \"cniCacheV2\" }");
    cached("n-c4-eth0", "no json");
    cached("n-c5-eth0", "{ \"kind\": \"cniCacheV1\", \"containerId\": \"../c\" }");
    List<CachedAttachment> all = cni().attachments();
    assertEquals(List.of("c1"), containers(all));
    assertEquals("p", all.getFirst().attachment().args().toMap().get("K8S_POD_NAME"));
    assertEquals(Optional.of(Path.of("/x")), all.getFirst().attachment().namespace());
    assertEquals("n", all.getFirst().config().name());
    network().check(FIRST);
    network().check(SECOND);
    assertEquals("CHECK first [eth0]", FakePlugin.CALLS.getFirst());
    assertEquals(
        "10.1.0.3/16",
        network().cachedResult(SECOND.id()).orElseThrow().ips().getFirst().address().toString());
    for (String id : List.of("c1", "c2", "c3", "c4", "c5")) {
      network().delete(Attachment.of(id, Path.of("/run/netns/c"), "eth0"));
      assertTrue(Files.notExists(files.getPath("/cache/results/n-" + id + "-eth0")), id);
    }
  }

  @Test
  void additionalPluginsAreReadFromTheDirectoryNamedAfterTheNetwork() throws Exception {
    file("n.conflist", "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\" }");
    file("n/20-b.conf", "{ \"type\": \"second\", \"x\": 1 }");
    file("n/10-a.conf", "{ \"type\": \"first\" }");
    file("n/30-c.json", "not read: only .conf counts");
    network().add(FIRST);
    assertEquals(List.of("ADD first", "ADD second [first]"), FakePlugin.CALLS);
    assertEquals(
        2,
        network()
            .cachedAttachment(FIRST.id())
            .orElseThrow()
            .config()
            .plugins()
            .size()); // stored whole, so without the additional files
    file(
        "n.conflist",
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"plugins\": [ { \"type\": \"second\" } ] }");
    assertEquals(List.of("second", "first", "second"), types(network()));
    file(
        "n.conflist",
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"loadOnlyInlinedPlugins\": \"true\","
            + " \"plugins\": [ { \"type\": \"second\" } ] }");
    assertEquals(List.of("second"), types(network()));
    file(
        "n.conflist",
        "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"loadOnlyInlinedPlugins\": true }");
    assertEquals(7, assertThrows(CniException.class, () -> network()).code());
    file("n.conflist", "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\" }");
    file("n/20-b.conf", "{ \"x\": 1 }");
    CniException e = assertThrows(CniException.class, () -> network());
    assertTrue(e.getMessage().contains("20-b.conf: type is missing"), e::getMessage);
  }

  private static List<String> types(Network network) {
    return network.config().plugins().stream().map(it -> it.type()).toList();
  }

  @Test
  void newestVersionThatAllSupportIsNegotiated() throws Exception {
    // FakePlugin supports all versions but 0.3.0.
    chain("0.3.0", ", \"cniVersions\": [\"0.3.1\", \"0.4.0\", \"9.0.0\"]", "", "");
    assertEquals(SpecVersion.V0_4_0, network().version());
    chain("0.3.1", ", \"cniVersions\": [\"0.3.0\"]", "", "");
    assertEquals(SpecVersion.V0_3_1, network().version());
    executable("third", "echo '{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.4.0\"]}'");
    file(
        "n.conflist",
        """
        { "cniVersion": "1.1.0", "cniVersions": ["1.0.0", "0.4.0"], "name": "n",
          "plugins": [ { "type": "first" }, { "type": "third" } ] }
        """);
    assertEquals(SpecVersion.V0_4_0, network().version());
    executable("third", "echo '{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.3.0\"]}'");
    CniException e = assertThrows(CniException.class, () -> network().add(FIRST));
    assertEquals(1, e.code());
    assertTrue(
        e.getMessage().contains("1.1.0 or 1.0.0 or 0.4.0; plugin third supports [0.3.0]"),
        e::getMessage);
    network().delete(FIRST); // regardless of their versions
  }

  private void executable(String type, String body) throws IOException {
    Path file = temporary.resolve(type);
    Files.writeString(file, "#!/bin/sh\ncat >/dev/null\n" + body + "\n");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  @Test
  void validateReportsEveryProblem() throws Exception {
    chain(
        "1.1.0",
        "",
        ", \"capabilities\": { \"mac\": true, \"ips\": false }",
        ", \"capabilities\": { \"portMappings\": true, \"mac\": true }");
    ValidationReport valid = network().validate();
    assertEquals(List.of(), valid.problems());
    assertEquals(List.of("mac", "portMappings"), valid.capabilities());
    executable("third", "echo '{\"cniVersion\":\"0.2.0\"}'");
    assertEquals(
        List.of(SpecVersion.V0_1_0, SpecVersion.V0_2_0), cni().plugins().versions("third"));
    file(
        "n.conflist",
        """
        { "cniVersion": "1.1.0", "name": "n",
          "plugins": [ { "type": "third" }, { "type": "fourth" }, { "type": "first" } ] }
        """);
    ValidationReport report = network().validate();
    CniException e = assertThrows(CniException.class, report::requireNoErrors);
    assertEquals(7, e.code());
    assertTrue(
        e.getMessage()
                .contains(
                    "n.conflist:1: error: cniVersion \"1.1.0\" is not supported by plugin third")
            && e.getMessage().contains("n.conflist:2: error: plugins[1].type \"fourth\" names no"),
        e::getMessage);
  }

  @Test
  void gcWaitsForAConcurrentAdd() throws Exception {
    chain("1.1.0", "", ", \"ADD\": \"slow\", \"GC\": \"slow\"", "");
    Cni cni = cni();
    var started = new CountDownLatch(1);
    Thread adding =
        Thread.ofPlatform()
            .start(
                () -> {
                  started.countDown();
                  try {
                    cni.network("n").add(FIRST);
                  } catch (CniException e) {
                    FakePlugin.CALLS.add(e.getMessage());
                  }
                });
    started.await();
    while (FakePlugin.CALLS.isEmpty()) {
      Thread.sleep(1);
    }
    cni.network("n").gc(Set.of(FIRST.id()));
    adding.join();
    assertEquals(
        List.of("ADD first", "ADD second [first]", "GC first [c1]", "GC second [c1]"),
        FakePlugin.CALLS);
  }

  @Test
  void inputThatGoAcceptsIsAccepted() throws Exception {
    byte[] latin =
        "{ \"cniVersion\": \"1.0.0\", \"note\": \"a\", \"Name\": \"n\", \"note\": \"B\u00fcro\", \"plugins\": [{ \"Type\": \"first\", \"NAME\": \"other\", \"CNIVersion\": \"0.1.0\" }] }"
            .getBytes(StandardCharsets.ISO_8859_1);
    Files.write(directory.resolve("n.conflist"), latin);
    network().add(FIRST);
    assertEquals(SpecVersion.V1_0_0, network().version());
    assertEquals(List.of("ADD first"), FakePlugin.CALLS);
    Path kept = files.getPath("/cache/results/n-c1-eth0");
    String json = Files.readString(kept);
    Files.writeString(kept, json.replace("[\"K\",\"V\"]", "[\"K\",\"a=b\"]"));
    assertEquals(
        Map.of("K", "a=b"),
        network().cachedAttachment(FIRST.id()).orElseThrow().attachment().args().toMap());
    network().gc(Set.of());
    assertEquals("DEL first [first]", FakePlugin.CALLS.getLast());
  }

  @Test
  void deleteSucceedsWhenTheCacheFileCannotBeRemoved() throws Exception {
    chain("1.0.0", "", "", "");
    Files.createDirectories(files.getPath("/cache/results/n-c1-eth0/inside"));
    network().delete(FIRST);
    assertEquals(List.of("DEL second", "DEL first"), FakePlugin.CALLS);
  }

  @Test
  void executableWithoutVersionReplyDoesNotLimitNegotiation() throws Exception {
    executable("third", "[ $CNI_COMMAND = ADD ] || exit 1; echo '{}'");
    file(
        "n.conflist",
        """
        { "cniVersions": ["1.0.0", "0.4.0"], "name": "n",
          "plugins": [ { "type": "first" }, { "type": "third" } ] }
        """);
    assertEquals(SpecVersion.V1_0_0, network().version());
    network().add(FIRST);
    executable(
        "third",
        "echo '{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.4.0\",\"1.2.0-dev\"]}'");
    assertEquals(SpecVersion.V0_4_0, network().version());
  }
}
