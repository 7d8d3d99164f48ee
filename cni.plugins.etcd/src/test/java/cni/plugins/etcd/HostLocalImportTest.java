// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@RequiresEtcd
class HostLocalImportTest {
  private static EtcdCluster etcd;
  @TempDir private static Path root;

  @TempDir private Path directory;
  private Path reservations;
  private TestNode a;

  @BeforeAll
  static void start() throws Exception {
    etcd = EtcdCluster.start(EtcdClusterOptions.members(1).in(root));
  }

  @AfterAll
  static void stop() throws Exception {
    etcd.close();
  }

  @BeforeEach
  void open() throws Exception {
    a = TestNode.of("a", etcd.endpoints(), directory);
    reservations = Files.createDirectories(directory.resolve("networks/n"));
    reserve("10.1.0.2", "c1\r\neth0");
    reserve("fd00:1::2", "c1\r\neth0");
    reserve("10.1.3.4", "c2\r\neth0");
    Files.writeString(reservations.resolve("last_reserved_ip.0"), "10.1.3.4");
  }

  @AfterEach
  void empty() throws Exception {
    etcd.etcdctl("del", "--prefix", TestNode.PREFIX);
  }

  private void reserve(String address, String holder) throws Exception {
    Files.writeString(reservations.resolve(address), holder);
  }

  private int importInto(TestNode node) throws CniException {
    return node.plugin().importReservations(node.networkRequest(), reservations);
  }

  @Test
  void reservationsAreRecordedOnceAndReleasedByDel() throws Exception {
    assertEquals(2, importInto(a));
    assertEquals(0, importInto(a));
    a.check("c1", List.of("10.1.0.2", "fd00:1::2"));
    a.check("c2", List.of("10.1.3.4"));
    CniException taken =
        assertThrows(CniException.class, () -> a.add("c3", Map.of("IP", "10.1.0.2")));
    assertTrue(taken.getMessage().contains("container c1"), taken::getMessage);
    a.delete("c1");
    assertEquals("10.1.0.2", a.add("c3", Map.of("IP", "10.1.0.2")).getFirst());
    assertEquals(
        List.of(),
        new AllocationHistory(TestNode.PREFIX, new EtcdEvents(etcd, TestNode.PREFIX)).violations());
  }

  @Test
  void whatCannotBeImportedIsReportedAndTheRestIsImported() throws Exception {
    TestNode b = TestNode.of("b", etcd.endpoints(), directory);
    b.add("other", Map.of("IP", "10.1.3.4"));
    reserve("10.9.0.1", "c4\r\neth0");
    reserve("10.1.0.9", "old");
    CniException e = assertThrows(CniException.class, () -> importInto(a));
    assertEquals(11, e.code());
    for (String part :
        List.of("1 attachments were imported", "container other", "10.9.0.1", "10.1.0.9")) {
      assertTrue(e.getMessage().contains(part), part + " in " + e.getMessage());
    }
    a.check("c1", List.of("10.1.0.2", "fd00:1::2"));
    assertThrows(CniException.class, () -> a.check("c2", List.of("10.1.3.4")));
  }

  @Test
  void anotherDirectoryIsRefused() {
    CniException e =
        assertThrows(
            CniException.class, () -> a.plugin().importReservations(a.networkRequest(), directory));
    assertEquals(7, e.code());
  }
}
