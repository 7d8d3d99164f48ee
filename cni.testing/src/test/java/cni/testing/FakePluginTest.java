// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkRequest;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.runtime.PluginOrigin;
import cni.runtime.PluginSource;
import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.io.IOException;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * The unit test of an embedding program as docs/embedding.md shows it: a real {@link Cni} with fake
 * plugins and files in memory, without root and without network namespaces.
 */
class FakePluginTest {
  private static final Attachment ATTACHMENT =
      Attachment.of("c1", Path.of("/run/netns/c1"), "eth0");

  private final FakePlugin main = FakePlugin.ofType("bridge"); // the real one is not called
  private final FakePlugin chained = FakePlugin.ofType("limiter");
  private FileSystem files;
  private Path cache;

  @BeforeEach
  void writeNetwork() throws IOException {
    files =
        Jimfs.newFileSystem(
            Configuration.unix().toBuilder().setAttributeViews("basic", "posix").build());
    cache = files.getPath("/cache");
    Files.writeString(
        Files.createDirectory(files.getPath("/net.d")).resolve("blue.conflist"),
        """
        { "cniVersion": "1.1.0", "name": "blue",
          "plugins": [ { "type": "bridge", "mtu": 1400 }, { "type": "limiter" } ] }
        """);
  }

  @AfterEach
  void close() throws IOException {
    files.close();
  }

  private Cni open() {
    return Cni.builder()
        .networks(files.getPath("/net.d"))
        .cache(cache)
        .executables()
        .pluginDirectories()
        .plugins(main, chained)
        .build();
  }

  @Test
  void chainRunsAllVerbsAndTheCacheHoldsTheResult() throws Exception {
    var address =
        new Result.IpConfig(Cidr.parse("10.1.2.3/24"), Optional.empty(), OptionalInt.of(0));
    var created = new Result.Interface("eth0", "02:00:00:00:00:01", 1400, "/run/netns/c1");
    Result result = Result.EMPTY.withInterfaces(List.of(created)).withIps(List.of(address));
    main.withResult(result);
    try (Cni cni = open()) {
      Network network = cni.network("blue");
      assertEquals(result, network.add(ATTACHMENT));
      assertEquals(Optional.of(result), network.cachedResult(ATTACHMENT.id()));
      network.check(ATTACHMENT);
      network.status();
      network.gc(Set.of(ATTACHMENT.id()));
      network.delete(ATTACHMENT);
      assertEquals(Optional.empty(), network.cachedResult(ATTACHMENT.id()));
      assertEquals(List.of(), cni.attachments());
    }
    List<Verb> all = List.of(Verb.ADD, Verb.CHECK, Verb.STATUS, Verb.GC, Verb.DEL);
    assertEquals(all, main.verbs());
    assertEquals(all, chained.verbs());

    assertEquals(ATTACHMENT, main.lastCall(Verb.ADD).attachmentRequest().attachment());
    assertEquals(1400, main.lastCall(Verb.ADD).request().config().json().path("mtu").asInt());
    assertEquals(Optional.empty(), main.lastCall(Verb.ADD).attachmentRequest().prevResult());
    assertEquals(Optional.of(result), chained.lastCall(Verb.ADD).attachmentRequest().prevResult());
    assertEquals(Optional.of(result), main.lastCall(Verb.DEL).attachmentRequest().prevResult());
    assertTrue(main.lastCall(Verb.GC).request() instanceof GcRequest);
    assertTrue(main.lastCall(Verb.STATUS).request() instanceof NetworkRequest);
  }

  @Test
  void withoutScriptedResultTheAttachmentsInterfaceIsReported() throws Exception {
    try (Cni cni = open()) {
      assertEquals(
          List.of(new Result.Interface("eth0", "", 0, "/run/netns/c1")),
          cni.network("blue").add(ATTACHMENT).interfaces());
    }
  }

  @Test
  void gcReceivesTheAttachmentsThatExist() throws Exception {
    try (Cni cni = open()) {
      cni.network("blue").add(ATTACHMENT);
      cni.network("blue").gc(Set.of(ATTACHMENT.id()));
    }
    GcRequest request = (GcRequest) main.lastCall(Verb.GC).request();
    assertEquals(Set.of(new AttachmentId("c1", "eth0")), request.valid());
  }

  @Test
  void scriptedFailuresAreThrownInOrderAndAnAddIsRolledBack() throws Exception {
    chained
        .failNext(Verb.ADD, new CniException(ErrorCode.TRY_AGAIN_LATER, "busy"))
        .failNext(Verb.ADD, new CniException(107, "broken", "all of it", null));
    try (Cni cni = open()) {
      Network network = cni.network("blue");
      CniException first = assertThrows(CniException.class, () -> network.add(ATTACHMENT));
      assertEquals("network blue, ADD by limiter: busy", first.getMessage());
      CniException second = assertThrows(CniException.class, () -> network.add(ATTACHMENT));
      assertEquals(107, second.code());
      assertEquals("all of it", second.details());
      assertEquals(Optional.empty(), network.cachedResult(ATTACHMENT.id()));
      network.add(ATTACHMENT);
    }
    assertEquals(List.of(Verb.ADD, Verb.DEL, Verb.ADD, Verb.DEL, Verb.ADD), main.verbs());
  }

  @Test
  void lastCallNamesTheCallsIfThereIsNone() throws Exception {
    try (Cni cni = open()) {
      cni.network("blue").add(ATTACHMENT);
    }
    IllegalStateException e =
        assertThrows(IllegalStateException.class, () -> main.lastCall(Verb.DEL));
    assertEquals("bridge was not called with DEL; calls: [ADD]", e.getMessage());
  }

  @Test
  void unsupportedVersionIsRefused() {
    main.withVersions(SpecVersion.V0_4_0);
    try (Cni cni = open()) {
      CniException e = assertThrows(CniException.class, () -> cni.network("blue").add(ATTACHMENT));
      assertTrue(e.is(ErrorCode.INCOMPATIBLE_VERSION), e::getMessage);
    }
    assertEquals(List.of(), main.calls());
  }

  @Test
  void instancesAreListedFirstAndWinOverEverySearchOrder() throws Exception {
    try (Cni cni =
        Cni.builder()
            .executables()
            .plugins(main)
            .searchOrder(PluginSource.EXECUTABLE)
            .pluginDirectories()
            .build()) {
      assertEquals(main.versions(), Set.copyOf(cni.plugins().versions("bridge")));
      assertTrue(cni.plugins().findInProcess("bridge").isPresent());
      assertFalse(cni.plugins().findInProcess("limiter").isPresent());
    }
    try (Cni cni = open()) {
      assertTrue(
          cni.plugins().list().stream()
              .anyMatch(
                  it ->
                      it.type().equals("limiter") && it.origin() instanceof PluginOrigin.BuiltIn));
    }
  }

  @Test
  void twoPluginsOfOneTypeAreRefused() {
    var other = FakePlugin.ofType("bridge");
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> Cni.builder().plugins(main, other).build());
    assertEquals("two plugins have the type bridge: give each its own", e.getMessage());
  }

  @Test
  void malformedTypeIsRefused() {
    var slash = FakePlugin.ofType("a/b");
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> Cni.builder().plugins(slash).build());
    assertTrue(String.valueOf(e.getMessage()).contains("a/b"), e::getMessage);
  }
}
