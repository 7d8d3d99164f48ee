// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Json;
import cni.api.PluginEvent;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

@RequiresEtcd
class AddressRecorderTest {
  @RegisterExtension private static final SharedEtcd etcd = SharedEtcd.of(1);

  private static final Duration TIMEOUT = Duration.ofSeconds(20);

  @TempDir private Path directory;
  private TestNode node;
  private final Set<AttachmentId> conflicts = new HashSet<>();
  private SimulatedHost host;

  @BeforeEach
  void open() {
    node = etcd.node("a", directory);
    host = new SimulatedHost(directory.resolve("state"));
  }

  private boolean recordAll(Deadline deadline) throws CniException {
    try (var session = new StoreSession(EtcdStore.open(StoreConfig.parse(node.config())))) {
      return new AddressRecorder(session, node.config(), host, conflicts, deadline).recordAll();
    }
  }

  @Test
  void failuresThatAreNoConflictsAreReportedToTheCallerWhoRepeatsTheCall() throws Exception {
    host.attach("c1", List.of("10.1.0.9", "fd00:1::9"));
    assertThrows(CniException.class, () -> recordAll(Deadline.after(Duration.ZERO)));
    assertEquals(List.of(), host.events);
    recordAll(Deadline.after(TIMEOUT));
    node.check("c1", List.of("10.1.0.9", "fd00:1::9"));
  }

  @Test
  void conflictIsPublishedAndTheRestIsRecorded() throws Exception {
    etcd.node("b", directory).add("thief", Map.of("IP", "10.1.0.9"));
    host.attach("c1", List.of("10.1.0.9", "fd00:1::9"));
    host.attach("c2", List.of("10.1.0.10"));
    assertFalse(recordAll(Deadline.after(TIMEOUT)));
    assertFalse(recordAll(Deadline.after(TIMEOUT))); // it is published once
    assertEquals(1, host.events.size());
    assertEquals(PluginEvent.Kind.ADDRESS_CONFLICT, host.events.getFirst().kind());
    assertTrue(host.events.getFirst().message().contains("thief"));
    node.check("c2", List.of("10.1.0.10"));
  }

  /** The backup is of an earlier attachment with the same id. */
  @Test
  void handleWithOtherAddressesIsReplaced() throws Exception {
    List<String> former = node.add("c1");
    host.attach("c1", List.of("10.1.0.9", "fd00:1::9"));
    assertTrue(recordAll(Deadline.after(TIMEOUT)));
    node.check("c1", List.of("10.1.0.9", "fd00:1::9"));
    assertEquals(List.of(), node.plugin().report(node.networkRequest()).problems());
    etcd.node("b", directory).add("c2", Map.of("IP", former.getFirst()));
  }

  @Test
  void rangesOfTheAttachmentAreKnown() throws Exception {
    JsonNode ranges = Json.parse("{\"r\":[[{\"subnet\":\"10.9.0.0/24\"}]]}", "test").get("r");
    host.attach(TestNode.NETWORK, "c1", List.of("10.9.0.5"), Map.of("ipRanges", ranges));
    host.attach("c2", List.of("10.9.0.6"));
    recordAll(Deadline.after(TIMEOUT));
    assertEquals(List.of("/test/handles/n/a/c1/eth0"), etcd.keys("/test/handles/"));
    CniException e =
        assertThrows(
            CniException.class,
            () ->
                node.with("\"ranges\":[[{\"subnet\":\"10.9.0.0/24\"}]]")
                    .add("c3", Map.of("IP", "10.9.0.5")));
    assertTrue(e.getMessage().contains("container c1"), e::getMessage);
  }
}
