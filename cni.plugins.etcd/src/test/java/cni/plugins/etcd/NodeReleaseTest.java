// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Deadline;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@RequiresEtcd
class NodeReleaseTest {
  private static final Duration GRACE = Duration.ofSeconds(1);

  private static EtcdCluster etcd;
  @TempDir private static Path root;

  @TempDir private Path directory;
  private TestNode a;
  private TestNode b;
  private Deadline deadline;

  @BeforeAll
  static void start() throws Exception {
    etcd = EtcdCluster.start(EtcdClusterOptions.members(1).in(root));
  }

  @AfterAll
  static void stop() throws Exception {
    etcd.close();
  }

  @BeforeEach
  void open() {
    a = TestNode.of("a", etcd.endpoints(), directory);
    b = TestNode.of("b", etcd.endpoints(), directory);
    deadline = Deadline.after(Duration.ofMinutes(1));
  }

  @AfterEach
  void empty() throws Exception {
    etcd.etcdctl("del", "--prefix", TestNode.PREFIX);
  }

  private static String keys(String prefix) throws Exception {
    return etcd.etcdctl("get", "--prefix", "--keys-only", TestNode.PREFIX + prefix).strip();
  }

  @Test
  void releaseFreesAllNetworksOfTheNodeAndNothingOfOthers() throws Exception {
    a.add("c1");
    for (int i = 0; i < 70; i++) {
      a.add("d" + i);
    }
    List<String> kept = b.add("c1");
    assertEquals(71, b.plugin().releaseNode(b.networkRequest(), "a", true));
    assertEquals("", keys("/handles/n/a/"));
    assertEquals("", keys("/blocks/n/a/"));
    assertEquals("", keys("/nodes/a"));
    b.check("c1", kept);
    a.delete("c1"); // late: nothing is recorded for it any more
    b.check("c1", kept);
    a.add("c2"); // the node exists after all: it registers again
    assertEquals("/test/nodes/a", keys("/nodes/a"));
  }

  @Test
  void lateDelDoesNotReleaseAnAddressThatIsAssignedToAnother() throws Exception {
    List<String> address = a.add("c1", Map.of("IP", "10.1.9.9"));
    b.plugin().releaseNode(b.networkRequest(), "a", true);
    assertEquals(address.getFirst(), b.add("c1", Map.of("IP", "10.1.9.9")).getFirst());
    a.delete("c1");
    b.gc("c1");
    assertThrows(CniException.class, () -> a.add("c3", Map.of("IP", "10.1.9.9")));
  }

  @Test
  void nodesThatMayRunAreNotReleased() throws Exception {
    a.add("c1");
    CniException e =
        assertThrows(
            CniException.class, () -> b.plugin().releaseNode(b.networkRequest(), "a", false));
    assertEquals(4, e.code());
    assertTrue(e.getMessage().contains("--force"), e::getMessage);
    CniException unknown =
        assertThrows(
            CniException.class, () -> b.plugin().releaseNode(b.networkRequest(), "x", true));
    assertTrue(unknown.getMessage().contains("there are: a"), unknown::getMessage);
  }

  @Test
  void lostNodeIsReleasedAfterTheConfiguredTimeOnly() throws Exception {
    a.add("c1");
    b.add("c1");
    etcd.etcdctl("put", "/test/nodes/a", NodeRecord.ofThisMachine().withRecorded("n", 0).toJson());
    try (EtcdStore store = EtcdStore.open(StoreConfig.parse(b.config()))) {
      var lostNodes = new LostNodes(store);
      long lease = store.client().grantLease(Duration.ofMinutes(1), deadline);
      lostNodes.release(lease, GRACE, deadline);
      assertFalse(keys("/handles/n/a/").isEmpty());
      Thread.sleep(GRACE.toMillis() + 100);
      etcd.etcdctl("put", "/test/alive/a/n", "{}");
      lostNodes.release(lease, GRACE, deadline);
      assertFalse(keys("/handles/n/a/").isEmpty(), "the node is back");
      etcd.etcdctl("del", "/test/alive/a/n");
      lostNodes.release(lease, GRACE, deadline);
      assertFalse(keys("/handles/n/a/").isEmpty(), "its time begins again");
      Thread.sleep(GRACE.toMillis() + 100);
      lostNodes.release(lease, GRACE, deadline);
      assertEquals("", keys("/handles/n/a/"));
      assertFalse(keys("/handles/n/b/").isEmpty(), "never had a host");
    }
  }

  @Test
  void onlyOneNodeReleasesLostNodes() throws Exception {
    a.add("c1");
    etcd.etcdctl("put", "/test/nodes/a", NodeRecord.ofThisMachine().withRecorded("n", 0).toJson());
    etcd.etcdctl("put", "/test/reaper", "{\"node\":\"other\"}");
    try (EtcdStore store = EtcdStore.open(StoreConfig.parse(b.config()))) {
      var lostNodes = new LostNodes(store);
      long lease = store.client().grantLease(Duration.ofMinutes(1), deadline);
      for (int i = 0; i < 2; i++) {
        lostNodes.release(lease, Duration.ofMillis(1), deadline);
        Thread.sleep(5);
      }
    }
    assertFalse(keys("/handles/n/a/").isEmpty());
  }

  @Test
  void anotherMachineWithTheSameNameIsRefused() throws Exception {
    String other = "{\"machine\":\"0123\",\"since\":\"2026-01-01T00:00:00Z\",\"host\":false}";
    etcd.etcdctl("put", "/test/nodes/a", other);
    CniException e = assertThrows(CniException.class, () -> a.add("c1"));
    assertEquals(7, e.code());
    assertTrue(e.getMessage().contains("release-node a"), e::getMessage);
  }
}
