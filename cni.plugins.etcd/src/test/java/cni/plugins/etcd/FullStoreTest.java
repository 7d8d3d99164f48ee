// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Deadline;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/**
 * Calls of the plugin while the database of etcd has reached its quota. etcd then has the alarm
 * NOSPACE and refuses each transaction that contains a put, and the grant of a lease. It still
 * serves reads and transactions that only delete.
 */
@RequiresEtcd
@Timeout(120)
class FullStoreTest {
  private static final int QUOTA = 4 << 20;
  private static final String FILLER = "x".repeat(512 << 10);
  private static final int MAX_FILLERS = 2 * QUOTA / FILLER.length();

  @RegisterExtension
  private static final SharedEtcd etcd =
      SharedEtcd.of(EtcdClusterOptions.members(1).withQuota(QUOTA));

  @TempDir private Path directory;
  private TestNode a;
  private TestNode b;

  @BeforeEach
  void open() {
    a = etcd.node("a", directory);
    b = etcd.node("b", directory);
  }

  @AfterEach
  void applyRemedy() throws Exception {
    etcd.cluster().compact();
    etcd.cluster().defragment();
    etcd.etcdctl("alarm", "disarm");
  }

  /** Replaces the value of one key until etcd raises the alarm. */
  private void fill() throws Exception {
    try (EtcdStore store = EtcdStore.open(StoreConfig.parse(a.config()))) {
      var put = new Txn().then(new Op.Put("/filler", FILLER));
      assertRefused(
          () -> {
            for (int i = 0; i < MAX_FILLERS; i++) {
              store.client().commit(put, Deadline.after(Duration.ofSeconds(20)));
            }
          });
    }
    assertTrue(etcd.etcdctl("alarm", "list").contains("NOSPACE"));
  }

  /** Requires that etcd refuses a write, and that the message names the remedy. */
  private static void assertRefused(Executable call) {
    CniException e = assertThrows(CniException.class, call);
    assertEquals(5, e.code(), e::getMessage);
    for (String part :
        List.of(etcd.endpoints().getFirst(), "space exceeded", "defragment", "alarm disarm")) {
      assertTrue(e.getMessage().contains(part), () -> part + " is not in: " + e.getMessage());
    }
  }

  private void assertConsistent() throws Exception {
    assertEquals(List.of(), a.plugin().report(a.networkRequest()).problems());
    assertEquals(List.of(), etcd.violations());
  }

  @Test
  void addIsRefusedUntilTheRemedyIsApplied() throws Exception {
    List<String> first = a.add("c1");
    fill();
    assertRefused(() -> a.add("c2")); // of a block that the node has
    assertRefused(() -> b.add("c2")); // of a new block and a new node
    assertFalse(etcd.exists("/test/handles/n/a/c2/eth0"));
    assertEquals(List.of(), etcd.keys("/test/handles/n/b/"));
    assertEquals(List.of(), etcd.keys("/test/blocks/n/b/"));
    a.check("c1", first);
    CniException status = assertThrows(CniException.class, a::status);
    assertEquals(50, status.code(), status::getMessage);
    assertTrue(status.getMessage().contains("alarm disarm"), status::getMessage);
    applyRemedy();
    a.status();
    assertConsistent();
    List<String> second = a.add("c2");
    a.check("c1", first);
    a.check("c2", second);
    b.add("c2");
    assertConsistent();
    for (TestNode it : List.of(a, b)) {
      it.delete("c1");
      it.delete("c2");
    }
    AllocationCampaign.assertNoAddresses(etcd.cluster());
  }

  /** DEL puts the block unless it releases the last address of the block. */
  @Test
  void delIsRefusedWhereOtherAddressesOfTheBlockAreInUse() throws Exception {
    a.add("c1");
    List<String> other = a.add("c2");
    fill();
    assertRefused(() -> a.delete("c1"));
    assertRefused(() -> a.gc("c2"));
    assertTrue(etcd.exists("/test/handles/n/a/c1/eth0"));
    applyRemedy();
    a.delete("c1");
    assertFalse(etcd.exists("/test/handles/n/a/c1/eth0"));
    a.check("c2", other);
    assertConsistent();
  }

  @Test
  void delOfTheLastAddressOfABlockSucceeds() throws Exception {
    a.add("c1");
    b.add("c2");
    fill();
    a.delete("c1");
    a.delete("c1");
    b.gc();
    AllocationCampaign.assertNoAddresses(etcd.cluster());
    applyRemedy();
    assertConsistent();
  }
}
