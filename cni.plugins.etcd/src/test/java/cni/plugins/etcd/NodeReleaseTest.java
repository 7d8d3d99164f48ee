// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Json;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

@RequiresEtcd
class NodeReleaseTest {
  private static final Duration GRACE = Duration.ofSeconds(1);

  @RegisterExtension private static final SharedEtcd etcd = SharedEtcd.of(1);

  @TempDir private Path directory;
  private TestNode a;
  private TestNode b;
  private Deadline deadline;

  @BeforeEach
  void open() {
    a = etcd.node("a", directory);
    b = etcd.node("b", directory);
    deadline = Deadline.after(Duration.ofMinutes(1));
  }

  @Test
  void releaseFreesAllNetworksOfTheNodeAndNothingOfOthers() throws Exception {
    a.add("c1");
    for (int i = 0; i < 70; i++) {
      a.add("d" + i);
    }
    List<String> kept = b.add("c1");
    assertEquals(71, b.plugin().releaseNode(b.networkRequest(), "a", true));
    assertEquals(List.of(), etcd.keys("/test/handles/n/a/"));
    assertEquals(List.of(), etcd.keys("/test/blocks/n/a/"));
    assertEquals(List.of(), etcd.keys("/test/nodes/a"));
    b.check("c1", kept);
    a.delete("c1"); // late: nothing is recorded for it any more
    b.check("c1", kept);
    a.add("c2"); // the node exists after all: it registers again
    assertTrue(etcd.exists("/test/nodes/a"));
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

  /** {@code --force} does not help, and is not named. */
  @Test
  void unknownNodesAreRefusedWithTheNamesOfTheOthers() {
    for (boolean force : new boolean[] {false, true}) {
      assertEquals("no node has the name x; there are: none", refusal("x", force));
      assertEquals("\"\" is no node: see the nodes in \"cni ipam show\"", refusal("", force));
    }
  }

  private String refusal(String node, boolean force) {
    CniException e =
        assertThrows(
            CniException.class, () -> b.plugin().releaseNode(b.networkRequest(), node, force));
    assertEquals(4, e.code());
    return e.getMessage();
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
      assertFalse(etcd.keys("/test/handles/n/a/").isEmpty());
      Thread.sleep(GRACE.toMillis() + 100);
      etcd.etcdctl("put", "/test/alive/a/n", "{}");
      lostNodes.release(lease, GRACE, deadline);
      assertFalse(etcd.keys("/test/handles/n/a/").isEmpty(), "the node is back");
      etcd.etcdctl("del", "/test/alive/a/n");
      lostNodes.release(lease, GRACE, deadline);
      assertFalse(etcd.keys("/test/handles/n/a/").isEmpty(), "its time begins again");
      Thread.sleep(GRACE.toMillis() + 100);
      lostNodes.release(lease, GRACE, deadline);
      assertEquals(List.of(), etcd.keys("/test/handles/n/a/"));
      assertFalse(etcd.keys("/test/handles/n/b/").isEmpty(), "never had a host");
    }
  }

  @Test
  void interruptedReleaseIsResumed() throws Exception {
    a.add("c1");
    NodeRecord released = NodeRecord.ofThisMachine().with(NodeRecord.State.RELEASED);
    etcd.etcdctl("put", "/test/nodes/a", released.toJson());
    try (EtcdStore store = EtcdStore.open(StoreConfig.parse(b.config()))) {
      long lease = store.client().grantLease(Duration.ofMinutes(1), deadline);
      new LostNodes(store).release(lease, Duration.ofHours(1), deadline);
    }
    assertEquals(List.of(), etcd.keys("/test/handles/n/a/"));
    assertEquals(List.of(), etcd.keys("/test/nodes/a"));
  }

  @Test
  void nodeThatIsReleasedWhileItRunsRegistersAgainAndKeepsWhatItAddsThen() throws Exception {
    a.add("c1");
    NodeRecord released = NodeRecord.ofThisMachine().with(NodeRecord.State.RELEASED);
    etcd.etcdctl("put", "/test/nodes/a", released.toJson());
    List<String> later = etcd.node("a", directory).add("c2");
    assertFalse(etcd.etcdctl("get", "/test/nodes/a").contains("released"));
    CniException e =
        assertThrows(
            CniException.class, () -> b.plugin().releaseNode(b.networkRequest(), "a", false));
    assertTrue(e.getMessage().contains("no resident host"), e::getMessage);
    a.check("c2", later);
  }

  @Test
  void releaseEndsWhenTheNodeRegistersAgain() throws Exception {
    List<String> addresses = a.add("c1");
    try (EtcdStore store = EtcdStore.open(StoreConfig.parse(a.config()))) {
      String key = store.keys().node("a");
      long registered =
          store.commit(Txn.read(new Op.Get(key)), deadline).get(0).orElseThrow().modRevision();
      List<Handle> handles = store.readHandles(deadline);
      etcd.etcdctl("put", key, NodeRecord.ofThisMachine().toJson());
      var release =
          new HandleRelease(store, new StoreView(store), deadline)
              .whileUnchanged(new HandleRelease.Registration(key, registered));
      CniException e = assertThrows(CniException.class, () -> release.releaseUnchanged(handles));
      assertEquals(4, e.code());
      assertTrue(e.getMessage().contains("stop it first"), e::getMessage);
    }
    a.check("c1", addresses);
  }

  @Test
  void addressesOfANodeWithoutRegistrationNeedForce() throws Exception {
    a.add("c1");
    etcd.etcdctl("del", "/test/nodes/a");
    CniException e =
        assertThrows(
            CniException.class, () -> b.plugin().releaseNode(b.networkRequest(), "a", false));
    assertTrue(e.getMessage().contains("not registered"), e::getMessage);
    assertEquals(1, b.plugin().releaseNode(b.networkRequest(), "a", true));
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
    assertFalse(etcd.keys("/test/handles/n/a/").isEmpty());
  }

  @Test
  void anotherMachineWithTheSameNameIsRefused() throws Exception {
    String other = "{\"machine\":\"0123\",\"since\":\"2026-01-01T00:00:00Z\",\"host\":false}";
    etcd.etcdctl("put", "/test/nodes/a", other);
    CniException e = assertThrows(CniException.class, () -> a.add("c1"));
    assertEquals(7, e.code());
    assertTrue(e.getMessage().contains("release-node a"), e::getMessage);
  }

  @Test
  void anotherMachineWithTheSameNameDoesNotTouchAttachmentsOfTheSameId() throws Exception {
    List<String> addresses = a.add("c1");
    String registration = etcd.etcdctl("get", "--print-value-only", "/test/nodes/a");
    String machine = Json.parse(registration, "test").get("machine").asString();
    etcd.etcdctl("put", "/test/nodes/a", registration.replace(machine, "0123").strip());
    TestNode other = etcd.node("a", directory);
    for (Executable call :
        List.<Executable>of(
            () -> other.add("c1"),
            () -> other.delete("c1"),
            () -> other.check("c1", addresses),
            () -> other.gc("none"))) {
      CniException e = assertThrows(CniException.class, call);
      assertEquals(7, e.code(), e::getMessage);
      assertTrue(e.getMessage().contains("another machine"), e::getMessage);
    }
    other.delete("c2"); // nothing is recorded for it
    assertTrue(etcd.exists("/test/handles/n/a/c1/eth0"));
  }
}
