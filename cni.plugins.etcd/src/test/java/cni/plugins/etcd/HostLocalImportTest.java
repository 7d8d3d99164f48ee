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
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

@RequiresEtcd
class HostLocalImportTest {
  @RegisterExtension private static final SharedEtcd etcd = SharedEtcd.of(1);

  @TempDir private Path directory;
  private Path reservations;
  private TestNode a;

  @BeforeEach
  void open() throws Exception {
    a = etcd.node("a", directory);
    reservations = Files.createDirectories(directory.resolve("networks/n"));
    reserve("10.1.0.2", "c1\r\neth0");
    reserve("fd00:1::2", "c1\r\neth0");
    reserve("10.1.3.4", "c2\r\neth0");
    Files.writeString(reservations.resolve("last_reserved_ip.0"), "10.1.3.4");
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
    assertEquals(List.of(), etcd.violations());
  }

  @Test
  void whatCannotBeImportedIsReportedAndTheRestIsImported() throws Exception {
    TestNode b = etcd.node("b", directory);
    b.add("other", Map.of("IP", "10.1.3.4"));
    reserve("10.9.0.1", "c4\r\neth0");
    reserve("10.1.0.9", "old");
    reserve("10.1.0.300", "c5\r\neth0");
    reserve(".10.1.0.9.swp", "of an editor");
    CniException e = assertThrows(CniException.class, () -> importInto(a));
    assertEquals(11, e.code());
    for (String part :
        List.of(
            "imported attachments: 1",
            "container other",
            "10.9.0.1",
            "10.1.0.9",
            "file \"10.1.0.300\"")) {
      assertTrue(e.getMessage().contains(part), part + " in " + e.getMessage());
    }
    a.check("c1", List.of("10.1.0.2", "fd00:1::2"));
    assertThrows(CniException.class, () -> a.check("c2", List.of("10.1.3.4")));
  }

  /** An earlier configuration had another gateway, and the container uses the address. */
  @Test
  void gatewayIsImportedAndReported() throws Exception {
    reserve("10.1.0.1", "c3\r\neth0");
    assertEquals(3, importInto(a));
    a.check("c3", List.of("10.1.0.1"));
    List<String> problems = a.plugin().report(a.networkRequest()).problems();
    assertEquals(1, problems.size(), problems::toString);
    assertTrue(
        problems.getFirst().startsWith("10.1.0.1 of container c3 on node a is the gateway"),
        problems::toString);
    a.delete("c3");
    assertEquals(List.of(), a.plugin().report(a.networkRequest()).problems());
  }

  @Test
  void anotherDirectoryIsRefused() {
    CniException e =
        assertThrows(
            CniException.class, () -> a.plugin().importReservations(a.networkRequest(), directory));
    assertEquals(7, e.code());
  }
}
