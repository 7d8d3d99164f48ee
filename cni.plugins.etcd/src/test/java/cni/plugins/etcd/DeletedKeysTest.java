// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Keys that something else than the plugin has deleted from etcd. */
@RequiresEtcd
class DeletedKeysTest {
  @RegisterExtension private static final SharedEtcd etcd = SharedEtcd.of(1);

  @TempDir private Path directory;
  private TestNode a;
  private TestNode b;

  @BeforeEach
  void open() {
    a = etcd.node("a", directory);
    b = etcd.node("b", directory);
  }

  private static List<String> problems(TestNode node) throws CniException {
    return node.plugin().report(node.networkRequest()).problems();
  }

  @Test
  void gcFreesWhatNothingHolds() throws Exception {
    List<String> kept = a.add("c1");
    List<String> leaked = a.add("c2");
    etcd.etcdctl("del", "/test/handles/n/a/c2/eth0");
    List<String> problems = problems(b);
    assertEquals(2, problems.size(), problems::toString);
    assertTrue(problems.getFirst().contains(leaked.getFirst()), problems::toString);
    assertTrue(problems.getFirst().contains("cni gc n"), problems::toString);
    a.gc("c1");
    assertEquals(List.of(), problems(b));
    a.check("c1", kept);
    assertEquals(leaked.getFirst(), a.add("c3", Map.of("IP", leaked.getFirst())).getFirst());
  }

  @Test
  void gcLeavesWhatOtherNodesAndNamesHold() throws Exception {
    String small = "\"ranges\":[[{\"subnet\":\"10.2.0.0/29\"}]],\"gcGrace\":0,\"blockSize\":29";
    TestNode owner = a.with(small);
    owner.add("c1");
    List<String> borrowed = b.with(small).add("c1");
    TestNode sticky = a.with("\"sticky\":true," + small);
    List<String> named = sticky.add("c2");
    sticky.delete("c2");
    List<String> leaked = owner.add("c3");
    etcd.etcdctl("del", "/test/handles/n/a/c3/eth0");
    owner.gc("c1");
    assertEquals(List.of(), problems(owner));
    b.with(small).check("c1", borrowed);
    assertEquals(named, sticky.add("c2"));
    assertEquals(leaked, owner.add("c4", Map.of("IP", leaked.getFirst())));
  }

  @Test
  void releaseOfANodeFreesWhatNothingHolds() throws Exception {
    a.add("c1");
    etcd.etcdctl("del", "/test/handles/n/a/c1/eth0");
    assertEquals(0, b.plugin().releaseNode(b.networkRequest(), "a", true));
    assertEquals(List.of(), etcd.keys("/test/blocks/"));
    assertEquals(List.of(), etcd.keys("/test/claims/"));
  }

  @Test
  void checkFindsAddressesThatAreFreeInTheirBlocksAndRepairReservesThem() throws Exception {
    List<String> addresses = a.add("c1");
    etcd.etcdctl("del", "--prefix", "/test/blocks/");
    etcd.etcdctl("del", "--prefix", "/test/claims/");
    CniException e = assertThrows(CniException.class, () -> a.check("c1", addresses));
    assertTrue(e.getMessage().contains("free in etcd's block"), e::getMessage);
    a.repair("c1", addresses);
    a.check("c1", addresses);
    assertEquals(List.of(), problems(b));
    assertThrows(CniException.class, () -> b.add("c2", Map.of("IP", addresses.getFirst())));
    a.delete("c1");
    assertFalse(etcd.keys("/test/").contains("/test/blocks/"));
  }

  @Test
  void repairRestoresABlockUnderItsClaim() throws Exception {
    List<String> addresses = a.add("c1");
    etcd.etcdctl("del", "--prefix", "/test/blocks/");
    List<String> problems = problems(b);
    assertTrue(problems.getLast().contains("cni repair"), problems::toString);
    a.repair("c1", addresses);
    a.check("c1", addresses);
    assertEquals(List.of(), problems(b));
  }

  @Test
  void repairRecordsAHandleWhoseAddressesAreStillReserved() throws Exception {
    List<String> addresses = a.add("c1");
    etcd.etcdctl("del", "--prefix", "/test/handles/");
    assertThrows(CniException.class, () -> a.check("c1", addresses));
    a.repair("c1", addresses);
    a.check("c1", addresses);
    assertEquals(List.of(), problems(b));
    assertThrows(CniException.class, () -> b.add("c2", Map.of("IP", addresses.getFirst())));
  }

  @Test
  void blockWithoutAClaimIsReportedWithTheCommandThatRestoresIt() throws Exception {
    a.add("c1");
    String claim = etcd.keys("/test/claims/").getFirst();
    etcd.etcdctl("del", claim);
    List<String> problems = problems(b);
    assertEquals(1, problems.size(), problems::toString);
    String value = "{\"node\":\"a\"}";
    assertTrue(problems.getFirst().endsWith("etcdctl put " + claim + " '" + value + "'"));
    etcd.etcdctl("put", claim, value);
    assertEquals(List.of(), problems(b));
  }

  @Test
  void oneInvalidHandleDoesNotStopGc() throws Exception {
    a.add("c1");
    etcd.etcdctl("put", "/test/handles/n/a/a/eth0", "{}");
    CniException e = assertThrows(CniException.class, () -> a.gc("none"));
    assertEquals(6, e.code());
    assertFalse(etcd.exists("/test/handles/n/a/c1/eth0"));
  }
}
