// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AddressReport;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.Result;
import cni.api.UpdateRequest;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

@RequiresEtcd
class EtcdPluginTest {
  private static final String SMALL =
      "\"ranges\":[[{\"subnet\":\"10.2.0.0/28\"}]],\"blockSize\":30";

  @RegisterExtension private static final SharedEtcd etcd = SharedEtcd.of(1);

  @TempDir private Path directory;
  private TestNode node;

  @BeforeEach
  void open() {
    node = etcd.node("a", directory);
  }

  private TestNode other(String name) {
    return etcd.node(name, directory);
  }

  @Test
  void addAssignsOneAddressOfEachRangeSetAndDelReleasesThem() throws Exception {
    List<String> addresses = node.add("c1");
    assertEquals(2, addresses.size());
    assertTrue(addresses.getFirst().startsWith("10.1."), addresses::toString);
    assertTrue(addresses.getLast().startsWith("fd00:1::"), addresses::toString);
    node.check("c1", addresses);
    assertTrue(etcd.exists("/test/handles/n/a/c1/eth0"));
    node.delete("c1");
    assertEquals(
        List.of("/test/networks/n", "/test/nodes/a", "/test/schema"), etcd.keys(TestNode.PREFIX));
    node.delete("c1");
  }

  @Test
  void repeatedAddReturnsTheSameAddresses() throws Exception {
    List<String> first = node.add("c1");
    assertEquals(first, node.add("c1"));
    assertNotEquals(first, node.add("c2"));
  }

  @Test
  void nodesUseBlocksOfTheirOwn() throws Exception {
    TestNode b = other("b");
    Set<String> all = new HashSet<>();
    for (int i = 0; i < 70; i++) {
      assertTrue(all.addAll(node.add("c" + i)));
      assertTrue(all.addAll(b.add("c" + i)));
    }
    AddressReport report = node.plugin().report(node.networkRequest());
    assertEquals(140, report.holders().size());
    assertEquals(List.of(), report.problems());
    assertEquals(8, report.blocks().size());
    assertEquals(List.of(), etcd.violations());
  }

  @Test
  void exhaustedRangeSetIsNamedAndBlocksOfOthersAreBorrowed() throws Exception {
    TestNode a = node.with(SMALL);
    TestNode b = other("b").with(SMALL);
    Set<String> all = new HashSet<>();
    for (int i = 0; i < 13; i++) { // 16 without network, broadcast and gateway
      assertTrue(all.addAll((i % 2 == 0 ? a : b).add("c" + i)));
    }
    CniException e = assertThrows(CniException.class, () -> a.add("x"));
    assertEquals(11, e.code());
    assertTrue(e.getMessage().contains("10.2.0.1-10.2.0.14"), e::getMessage);
    CniException status = assertThrows(CniException.class, a::status);
    assertEquals(50, status.code());
    a.delete("c0");
    a.status();
    b.add("y");
  }

  /** All addresses of one transaction in a block change the same key. */
  @Test
  void rangeSetsInOneBlockAreAssignedFromTheBlockOfAnotherNode() throws Exception {
    String keys =
        "\"ranges\":[[{\"subnet\":\"10.2.0.0/24\",\"rangeStart\":\"10.2.0.10\",\"rangeEnd\":\"10.2.0.20\"}],"
            + "[{\"subnet\":\"10.2.0.0/24\",\"rangeStart\":\"10.2.0.30\",\"rangeEnd\":\"10.2.0.40\"}]],"
            + "\"blockSize\":24";
    TestNode owner = node.with(keys);
    TestNode borrower = other("b").with(keys);
    Set<String> all = new HashSet<>(owner.add("c"));
    for (int i = 0; i < 10; i++) {
      assertTrue(all.addAll(borrower.add("c" + i)));
    }
    assertEquals(22, all.size());
    assertEquals(List.of(), owner.plugin().report(owner.networkRequest()).problems());
    assertThrows(CniException.class, () -> owner.add("x"));
  }

  @Test
  void requestedAddressThatIsKeptForTheNameIsAssigned() throws Exception {
    TestNode sticky = node.with("\"sticky\":true," + TestNode.DUAL_STACK);
    List<String> first = sticky.add("c1");
    sticky.delete("c1");
    TestNode fresh = other("a").with("\"sticky\":true," + TestNode.DUAL_STACK);
    assertEquals(first, fresh.add("c1", Map.of("IP", first.getFirst())));
    assertEquals(List.of(), node.plugin().report(node.networkRequest()).problems());
  }

  @Test
  void gcReleasesOnlyWhatIsNotValid() throws Exception {
    TestNode b = other("b");
    b.add("c9");
    List<String> kept = node.add("c1");
    node.add("c2");
    node.gc("c1");
    node.check("c1", kept);
    assertFalse(etcd.exists("/test/handles/n/a/c2/eth0"));
    assertTrue(etcd.exists("/test/handles/n/b/c9/eth0"));
  }

  @Test
  void requestedAddressesAreAssigned() throws Exception {
    assertEquals("10.1.7.7", node.add("c1", Map.of("IP", "10.1.7.7")).getFirst());
    CniException taken =
        assertThrows(CniException.class, () -> other("b").add("c2", Map.of("IP", "10.1.7.7")));
    assertEquals(11, taken.code());
    assertTrue(
        taken.getMessage().contains("container c1, interface eth0 on node a"), taken::getMessage);
    assertEquals("10.1.7.8", other("b").add("c3", Map.of("IP", "10.1.7.8")).getFirst());
  }

  @Test
  void attachmentIsUpdatedToAnotherAccessWhoseFormerFilesDoNotExistAnyMore() throws Exception {
    List<String> addresses = node.add("c1");
    TestNode former =
        new TestNode(
            node.plugin(),
            "a",
            List.of("http://127.0.0.1:1"),
            node.directory(),
            "\"user\":\"u\",\"passwordFile\":\"/no/such\"," + TestNode.DUAL_STACK);
    var request =
        new UpdateRequest(
            former.requestWithResult("c1", addresses), node.requestWithResult("c1", addresses));
    try (var differences = new Differences()) {
      Result result = node.plugin().compare(request, differences);
      assertEquals(addresses, TestNode.addresses(result));
      differences.requireNone("etcd");
    }
  }

  @Test
  void stickyAddressesAreAssignedAgain() throws Exception {
    TestNode sticky = node.with("\"sticky\":true," + TestNode.DUAL_STACK);
    Map<String, String> pod =
        Map.of("K8S_POD_NAMESPACE", "ns", "K8S_POD_NAME", "web-0", "IgnoreUnknown", "1");
    List<String> first = sticky.add("c1", pod);
    sticky.delete("c1");
    sticky.add("c2");
    assertEquals(first, sticky.add("c3", pod));
    assertEquals(List.of(), etcd.violations());
  }

  @Test
  void repeatedAddWithARequestedAddressReturnsIt() throws Exception {
    List<String> first = node.add("c1", Map.of("IP", "10.1.7.7"));
    assertEquals(first, node.add("c1", Map.of("IP", "10.1.7.7")));
    CniException other =
        assertThrows(CniException.class, () -> node.add("c1", Map.of("IP", "10.1.7.8")));
    assertEquals(4, other.code());
  }

  /** A deletion compares the revision: one that was sent before must not be performed after it. */
  @Test
  void repeatedAddChangesTheRevisionOfTheHandle() throws Exception {
    List<String> first = node.add("c1");
    long before = revisionOfHandle();
    assertEquals(first, node.add("c1"));
    assertTrue(revisionOfHandle() > before);
    node.delete("c1");
    assertEquals(List.of(), etcd.keys("/test/handles/"));
  }

  private static long revisionOfHandle() throws Exception {
    String response = etcd.etcdctl("get", "/test/handles/n/a/c1/eth0", "-w=json");
    return Etcdctl.json(response).path("kvs").path(0).path("mod_revision").asLong();
  }
}
