// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.plugins.etcd.client.TxnResponse.Header;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
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

  /** Returns whether a container, NETWORK/NODE/CONTAINER, has addresses. */
  private boolean hasHandle(String container) throws Exception {
    return !etcd.etcdctl("get", "/test/handles/" + container + "/eth0").isBlank();
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
    a.repair("c2", lost);
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

  @Test
  void residentHostsRecordTheirAddressesAgain() throws Exception {
    var host = new SimulatedHost(directory.resolve("state"));
    var plugin = new EtcdPlugin(Duration.ofSeconds(3));
    plugin.start(host);
    a = a.with(plugin);
    try {
      List<String> lost = loseC2();
      host.attach("c2", lost);
      assertRefused(a);
      Polling.await("c2 is recorded", () -> hasHandle("n/a/c2"));
      b.plugin().releaseNode(b.networkRequest(), "b", true);
      Polling.await(
          "all is recorded", () -> etcd.etcdctl("get", "/test/nodes/a").contains("\"n\":1"));
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
    TestNode one = a.with(plugin);
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
      Polling.await("both networks are recorded", this::isResumed);
      assertTrue(hasHandle("n/a/c2"));
      assertTrue(hasHandle("m/a/c2"));
    } finally {
      plugin.stop();
    }
  }

  /** Resumes, which is refused until all nodes have recorded their addresses. */
  private boolean isResumed() throws CniException {
    try {
      assertTrue(b.plugin().resume(b.networkRequest(), false));
      return true;
    } catch (CniException e) {
      assertEquals(4, e.code(), e::getMessage);
      return false;
    }
  }

  @Test
  void hostThatWritesToARestoredStoreRevertsThat() throws Exception {
    var plugin = new EtcdPlugin(Duration.ofMinutes(5));
    plugin.start(new SimulatedHost(directory.resolve("state")));
    a = a.with(plugin);
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
      assertFalse(hasHandle("n/a/new"));
      assertRefused(a);
    } finally {
      plugin.stop();
    }
  }

  /** Expiring leases and other writes raise the revision beyond all that was seen before. */
  @Test
  void warmHostNoticesThatItsBlockIsOlderThanBefore() throws Exception {
    var plugin = new EtcdPlugin(Duration.ofMinutes(5));
    plugin.start(new SimulatedHost(directory.resolve("state")));
    a = a.with(plugin);
    try {
      a.add("c1");
      Path backup = directory.resolve("backup");
      etcd.snapshot(backup);
      List<String> lost = a.add("c2");
      etcd.restore(backup);
      for (int i = 0; i < 20; i++) {
        etcd.etcdctl("put", "/else", "x");
      }
      CniException e = assertThrows(CniException.class, () -> a.add("new"));
      assertEquals(11, e.code());
      assertTrue(e.getMessage().contains("had seen later states"), e::getMessage);
      assertRefused(b);
      assertFalse(etcd.etcdctl("get", "--prefix", "/test/handles/").contains(lost.getFirst()));
    } finally {
      plugin.stop();
    }
  }

  /**
   * A token contains the index of etcd's log, which begins anew: a member waits for the index of an
   * old token without an answer.
   */
  @Test
  void hostWithAPasswordIsNotStuckWithItsOldToken() throws Exception {
    etcd.enableAuth("root-Wort", "cni", "cni-Wort", TestNode.PREFIX);
    var plugin = new EtcdPlugin(Duration.ofMinutes(5));
    plugin.start(new SimulatedHost(directory.resolve("state")));
    String user = "\"user\":\"cni\",\"password\":\"cni-Wort\",\"timeout\":6,";
    b = b.with(user + b.ipam());
    a = a.with(plugin);
    a = a.with(user + a.ipam());
    try {
      Path backup = directory.resolve("backup");
      for (int i = 0; i < 100; i++) {
        b.add("x");
        b.delete("x");
      }
      a.add("c1"); // gets a token
      etcd.snapshot(backup);
      a.add("c2");
      etcd.restore(backup);
      assertRefused(a);
    } finally {
      plugin.stop();
    }
  }

  /** The address of an earlier container may be another one's by now. */
  @Test
  void repeatedAddIsRefusedToo() throws Exception {
    loseC2();
    assertRefused(a);
    CniException e = assertThrows(CniException.class, () -> a.add("c1"));
    assertEquals(11, e.code());
    assertTrue(e.getMessage().contains("restored"), e::getMessage);
  }

  @Test
  void deletedSchemaCountsAsRestored() throws Exception {
    a.add("c1");
    etcd.etcdctl("del", "--prefix", TestNode.PREFIX);
    assertRefused(a);
    assertRefused(b);
  }

  @Test
  void laterStateThatAnotherProcessHasSeenIsKept() throws Exception {
    StoreConfig config = StoreConfig.parse(a.config());
    RevisionWitness early = RevisionWitness.read(config);
    RevisionWitness late = RevisionWitness.read(config);
    early.advance(new Header("1", 5), 0);
    late.advance(new Header("1", 9), 0);
    late.save();
    early.save();
    assertEquals(9, RevisionWitness.read(config).seen().revision());
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

  /** A wrong endpoint must not stop the nodes that use the other store. */
  @Test
  void storeOfOtherNodesIsRefusedAndNotMarked() throws Exception {
    List<String> kept = a.add("c1");
    try (EtcdCluster other = EtcdCluster.start(EtcdClusterOptions.members(1).in(directory))) {
      TestNode stranger = TestNode.of("z", other.endpoints(), directory);
      stranger.add("c1");
      TestNode misled = TestNode.of("a", other.endpoints(), directory);
      for (Executable call : List.<Executable>of(() -> misled.add("c2"), misled::status)) {
        CniException e = assertThrows(CniException.class, call);
        assertEquals(7, e.code());
        assertTrue(e.getMessage().contains("correct ipam.endpoints"), e::getMessage);
      }
      stranger.add("c2");
      stranger.status();
    }
    TestNode.of("a", etcd.endpoints(), directory).check("c1", kept);
    a.add("c2");
  }

  /** Its nodes have to record their addresses before others are assigned. */
  @Test
  void storeThatWasDeletedAndMadeAnewCountsAsRestored() throws Exception {
    a.add("c1");
    etcd.etcdctl("del", "--prefix", TestNode.PREFIX);
    TestNode newcomer = TestNode.of("newcomer", etcd.endpoints(), directory);
    newcomer.add("c1");
    assertRefused(a);
    assertRefused(newcomer);
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
