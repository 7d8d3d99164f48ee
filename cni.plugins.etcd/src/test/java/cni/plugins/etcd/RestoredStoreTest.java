// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Differences;
import cni.api.UpdateRequest;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the plugin does after etcd has been restored from a backup. */
@RequiresEtcd
class RestoredStoreTest {
  @TempDir private Path directory;

  private EtcdCluster etcd;
  private TestNode a;
  private TestNode b;

  @BeforeEach
  void start() throws Exception {
    etcd = EtcdCluster.start(EtcdClusterOptions.members(1).in(directory));
    a = TestNode.of("a", etcd.endpoints(), directory);
    b = TestNode.of("b", etcd.endpoints(), directory);
  }

  @AfterEach
  void stop() throws Exception {
    etcd.close();
  }

  /** Restores a backup that lacks the container c2 of node a; returns c2's addresses. */
  private List<String> loseC2() throws Exception {
    a.add("c1");
    b.add("c9");
    Path backup = directory.resolve("backup");
    etcd.snapshot(backup);
    List<String> lost = a.add("c2");
    etcd.restore(backup);
    return lost;
  }

  private static CniException assertRefused(TestNode node) {
    CniException e = assertThrows(CniException.class, () -> node.add("new"));
    assertEquals(11, e.code());
    assertTrue(e.getMessage().contains("restored from a backup"), e::getMessage);
    assertTrue(e.getMessage().contains("cni ipam resume n"), e::getMessage);
    return e;
  }

  @Test
  void noNodeAssignsAddressesUntilAnOperatorResumes() throws Exception {
    List<String> lost = loseC2();
    assertRefused(a);
    assertRefused(b);
    assertRefused(TestNode.of("newcomer", etcd.endpoints(), directory));
    CniException status = assertThrows(CniException.class, b::status);
    assertEquals(50, status.code());
    CniException missing = assertThrows(CniException.class, () -> a.check("c2", lost));
    assertTrue(missing.getMessage().contains("not reserved"), missing::getMessage);
    b.delete("c9");
    CniException early =
        assertThrows(CniException.class, () -> b.plugin().resume(b.networkRequest(), false));
    assertTrue(early.getMessage().contains("a, b"), early::getMessage);
    repair(a, "c2", lost);
    a.check("c2", lost);
    assertTrue(b.plugin().resume(b.networkRequest(), true));
    assertFalse(b.plugin().resume(b.networkRequest(), true));
    for (TestNode node : List.of(a, b)) {
      List<String> fresh = node.add("fresh");
      assertFalse(fresh.contains(lost.getFirst()), fresh::toString);
      assertFalse(fresh.contains(lost.getLast()), fresh::toString);
    }
    a.status();
  }

  /** Repairs as {@code cni repair} does. */
  private static void repair(TestNode node, String container, List<String> addresses)
      throws Exception {
    try (var differences = new Differences()) {
      node.plugin()
          .compare(
              UpdateRequest.unchanged(node.requestWithResult(container, addresses)), differences);
      for (Differences.Difference it : differences.list()) {
        it.change().orElseThrow().apply().run();
      }
    }
  }

  @Test
  void residentHostsRecordTheirAddressesAgain() throws Exception {
    var host = new SimulatedHost(directory.resolve("state"));
    var plugin = new EtcdPlugin(Duration.ofSeconds(3));
    plugin.start(host);
    a = new TestNode(plugin, "a", a.endpoints(), a.directory(), a.ipam());
    try {
      List<String> lost = loseC2();
      host.attach("c2", lost);
      assertRefused(a);
      long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
      while (etcd.etcdctl("get", "/test/handles/n/a/c2/eth0").isBlank()) {
        assertTrue(System.nanoTime() - end < 0);
        Thread.sleep(100);
      }
      b.plugin().releaseNode(b.networkRequest(), "b", true);
      while (!etcd.etcdctl("get", "/test/nodes/a").contains("\"n\":1")) {
        assertTrue(System.nanoTime() - end < 0);
        Thread.sleep(100);
      }
      assertTrue(b.plugin().resume(b.networkRequest(), false));
      assertFalse(b.add("fresh").contains(lost.getFirst()));
      a.check("c2", lost);
      a.add("c3");
    } finally {
      plugin.stop();
    }
  }

  /** Each network of a node is recorded by a lease of its own. */
  @Test
  void allNetworksOfANodeAreRecordedBeforeAddressesAreAssigned() throws Exception {
    var host = new SimulatedHost(directory.resolve("state"));
    var plugin = new EtcdPlugin(Duration.ofSeconds(3));
    plugin.start(host);
    TestNode one = new TestNode(plugin, "a", a.endpoints(), a.directory(), a.ipam());
    TestNode other = one.in("m");
    try {
      one.add("c1");
      other.add("c1");
      Path backup = directory.resolve("backup");
      etcd.snapshot(backup);
      host.attach("c2", one.add("c2"));
      List<String> lost = other.add("c2");
      host.attach("m", "c2", lost);
      etcd.restore(backup);
      assertRefused(one);
      long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
      while (true) {
        try {
          assertTrue(b.plugin().resume(b.networkRequest(), false));
          break;
        } catch (CniException e) {
          assertEquals(4, e.code());
          assertTrue(System.nanoTime() - end < 0, e::getMessage);
          Thread.sleep(100);
        }
      }
      for (String network : List.of("n", "m")) {
        assertFalse(etcd.etcdctl("get", "/test/handles/" + network + "/a/c2/eth0").isBlank());
      }
    } finally {
      plugin.stop();
    }
  }

  @Test
  void warmHostThatWritesToARestoredStoreTakesItBack() throws Exception {
    var plugin = new EtcdPlugin(Duration.ofMinutes(5));
    plugin.start(new SimulatedHost(directory.resolve("state")));
    a = new TestNode(plugin, "a", a.endpoints(), a.directory(), a.ipam());
    try {
      a.add("c1");
      a.add("c2");
      Path backup = directory.resolve("backup");
      etcd.snapshot(backup);
      for (int i = 0; i < 5; i++) { // other nodes raise the revision, and leave the block of a
        b.add("x" + i);
      }
      a.check("c2", a.add("c2")); // a sees that
      etcd.restore(backup);
      assertRefusedOnce();
      assertTrue(etcd.etcdctl("get", "/test/handles/n/a/new").isBlank());
      assertRefused(a);
    } finally {
      plugin.stop();
    }
  }

  private void assertRefusedOnce() {
    CniException e = assertThrows(CniException.class, () -> a.add("new"));
    assertEquals(11, e.code());
    assertTrue(e.getMessage().contains("restored"), e::getMessage);
  }

  @Test
  void emptyClusterInPlaceOfTheOldOneIsDetected() throws Exception {
    a.add("c1");
    etcd.close();
    etcd = EtcdCluster.start(EtcdClusterOptions.members(1).in(directory));
    a = TestNode.of("a", etcd.endpoints(), directory);
    assertRefused(a);
  }

  @Test
  void unknownVersionOfTheSchemaIsRefused() throws Exception {
    a.add("c1");
    etcd.etcdctl("put", "/test/schema", "{\"version\":2}");
    for (TestNode node : List.of(a, b)) {
      CniException e = assertThrows(CniException.class, () -> node.add("c2"));
      assertEquals(2, e.code());
      assertTrue(e.getMessage().contains("version 2"), e::getMessage);
    }
    assertEquals(2, assertThrows(CniException.class, () -> a.delete("c1")).code());
  }
}
