// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.ErrorCode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

@RequiresEtcd
class InvalidValuesTest {
  private static final List<String> NO_OBJECTS = List.of("x", "[]", "1", "{");

  @RegisterExtension private static final SharedEtcd etcd = SharedEtcd.of(1);

  @TempDir private Path directory;

  private TestNode node() {
    return etcd.node("a", directory);
  }

  /** Calls the plugin with a key set; each call succeeds or fails with an error that names it. */
  private void requireNamed(int code, String key, String value, Executable... calls)
      throws Exception {
    etcd.etcdctl("put", "--", TestNode.PREFIX + key, value);
    for (Executable call : calls) {
      CniException e = assertThrows(CniException.class, call, () -> key + " = " + value);
      assertEquals(code, e.code(), e::getMessage);
      assertTrue(e.getMessage().contains(TestNode.PREFIX + key), e::getMessage);
      if (code == 6) {
        assertTrue(e.getMessage().contains("delet"), e::getMessage); // the remedy
      }
    }
    etcd.etcdctl("del", "--", TestNode.PREFIX + key);
  }

  private static List<String> values(String... more) {
    List<String> values = new ArrayList<>(NO_OBJECTS);
    values.addAll(List.of(more));
    return values;
  }

  @Test
  void invalidBlocksAreNamed() throws Exception {
    TestNode node = node();
    for (String value :
        values(
            "{}",
            "{\"used\":\"\"}",
            "{\"used\":\"zz\"}",
            "{\"used\":\"-1\"}",
            "{\"used\":\"1ffffffffffffffff\"}",
            "{\"used\":[1]}",
            "{\"used\":\"1\",\"next\":-1}",
            "{\"used\":\"1\",\"next\":64}",
            "{\"used\":\"1\",\"next\":\"x\"}",
            "{\"used\":\"1\",\"next\":1e99}")) {
      requireNamed(6, "/blocks/n/a/10.1.0.0-26", value, () -> node.add("c"), node::status);
      requireNamed(6, "/blocks/n/b/10.1.0.0-26", value, this::report);
    }
  }

  /** Reports the network; throws its problems. */
  private void report() throws CniException {
    TestNode node = node();
    List<String> problems = node.plugin().report(node.networkRequest()).problems();
    if (!problems.isEmpty()) {
      throw new CniException(ErrorCode.DECODING_FAILURE, String.join("; ", problems));
    }
  }

  @Test
  void invalidKeysAreNamed() throws Exception {
    TestNode node = node();
    String block = "{\"used\":\"1\",\"next\":0}";
    for (String id :
        List.of("x", "10.1.0.0", "10.1.0.0-99", "10.1.0.1-26", "10.0.0.0-8", "fd00::-64", "a/b")) {
      requireNamed(6, "/blocks/n/a/" + id, block, () -> node.add("c"), node::status, this::report);
      requireNamed(6, "/claims/n/" + id, "{\"node\":\"b\"}", this::report);
    }
    requireNamed(6, "/blocks/n/x", block, this::report);
    for (String handle : List.of("a", "a/", "a/c", "a/c/eth0/x", "a//eth0")) {
      requireNamed(6, "/handles/n/" + handle, "{}", this::report);
    }
    requireNamed(6, "/handles/n/a/c", "{}", () -> node.gc("x"));
  }

  @Test
  void invalidBlocksOfOtherNodesStopNobody() throws Exception {
    etcd.etcdctl("put", "/test/blocks/n/ghost/garbage", "x");
    etcd.etcdctl("put", "/test/blocks/n/ghost/10.2.0.0-29", "x");
    etcd.etcdctl("put", "/test/claims/n/garbage", "x");
    etcd.etcdctl("put", "/test/claims/n/10.2.0.0-29", "{\"node\":\"ghost\"}");
    TestNode small = node().with("\"ranges\":[[{\"subnet\":\"10.2.0.0/28\"}]],\"blockSize\":29");
    for (int i = 0; i < 7; i++) { // those of the valid block, without the broadcast address
      small.status();
      assertFalse(small.add("c" + i).getFirst().matches("10\\.2\\.0\\.[1-7]"));
    }
    assertThrows(CniException.class, small::status);
    assertThrows(CniException.class, () -> small.add("c8"));
  }

  @Test
  void invalidHandlesAreNamed() throws Exception {
    TestNode node = node();
    String since = "\"since\":\"2026-01-01T00:00:00Z\"";
    for (String value :
        values(
            "{}",
            "{" + since + "}",
            "{\"addresses\":[]}",
            "{\"addresses\":[],\"since\":\"x\"}",
            "{\"addresses\":{}," + since + "}",
            "{\"addresses\":[1]," + since + "}",
            "{\"addresses\":[{}]," + since + "}",
            address("10.1.0.1", "10.2.0.0-26", "a", since),
            address("10.1.0.1", "fd00::-122", "a", since),
            address("10.1.0.1", "10.1.0.0-26", "", since),
            address("10.1.0.1", "10.1.0.0-26", "a/b", since),
            address("fd00::1", "fd00::-1", "a", since))) {
      requireNamed(
          6,
          "/handles/n/a/c/eth0",
          value,
          () -> node.add("c"),
          () -> node.delete("c"),
          () -> node.check("c", List.of("10.1.0.1")),
          () -> node.gc("x"),
          this::report);
    }
  }

  private static String address(String address, String block, String owner, String more) {
    return "{\"addresses\":[{\"address\":\"%s\",\"block\":\"%s\",\"owner\":\"%s\"}],%s}"
        .formatted(address, block, owner, more);
  }

  @Test
  void invalidRecordsAreNamed() throws Exception {
    TestNode node = node();
    Executable[] calls = {() -> node.add("c"), node::status, this::report};
    for (String value : values("{}", "{\"since\":1}", "{\"since\":\"yesterday\"}")) {
      requireNamed(6, "/nodes/a", value, calls);
    }
    for (String value : values("{}", "{\"blockSize\":\"x\"}", "{\"blockSize\":0}")) {
      requireNamed(6, "/networks/n", value, calls);
    }
    String otherSizes = "{\"blockSize\":24,\"blockSizeV6\":120}";
    requireNamed(7, "/networks/n", otherSizes, () -> node.add("c"), node::status);
    etcd.etcdctl("put", "/test/networks/n", otherSizes);
    CniException problem = assertThrows(CniException.class, this::report);
    assertTrue(problem.getMessage().contains("set ipam.blockSize to 24"), problem::getMessage);
    etcd.etcdctl("del", "/test/networks/n");
    for (String value : NO_OBJECTS) {
      requireNamed(6, "/schema", value, calls);
    }
    for (String value : List.of("{}", "{\"version\":2}", "{\"version\":\"x\"}")) {
      requireNamed(2, "/schema", value, calls);
    }
    requireNamed(6, "/schema", "{\"version\":1,\"restored\":{\"since\":\"x\"}}", calls);
  }

  @Test
  void messagesSayWhatIsExpected() throws Exception {
    String block = "/blocks/n/b/10.1.0.0-26";
    requireReported(block, "{\"used\":\"zz\"}", "must be a hexadecimal number such as 1f;");
    requireReported("/nodes/b", "{}", "must be a time such as 2026-01-31T12:00:00Z;");
    requireReported(
        "/handles/n/b/c/eth0",
        address("10.1.0.1", "10.2.0.0-26", "b", "\"since\":\"2026-01-01T00:00:00Z\""),
        "block 10.2.0.0-26 does not contain 10.1.0.1;");
  }

  private void requireReported(String key, String value, String message) throws Exception {
    etcd.etcdctl("put", "--", TestNode.PREFIX + key, value);
    CniException e = assertThrows(CniException.class, this::report);
    assertTrue(e.getMessage().contains(message), e::getMessage);
    etcd.etcdctl("del", "--", TestNode.PREFIX + key);
  }

  @Test
  void invalidKeptAddressesAreNamed() throws Exception {
    TestNode sticky = node().with("\"sticky\":true," + TestNode.DUAL_STACK);
    Map<String, String> pod = Map.of("K8S_POD_NAME", "p", "IgnoreUnknown", "1");
    for (String value : values("{}", "{\"addresses\":1}", "{\"addresses\":[]}")) {
      requireNamed(6, "/sticky/n/p/eth0", value, () -> sticky.add("c", pod), this::report);
    }
  }

  @Test
  void invalidAnswersAreReported() throws Exception {
    Set<Integer> codes = Set.of(6, 7, 11);
    String header = "\"header\":{\"cluster_id\":\"1\",\"revision\":\"5\"}";
    String range = "{\"response_range\":{%s}}";
    for (String answer :
        List.of(
            "{\"header\":{}}",
            "{\"header\":5}",
            "{\"header\":{\"cluster_id\":\"1\",\"revision\":\"-5\"}}",
            "{\"header\":{\"cluster_id\":{},\"revision\":[]}}",
            "{" + header + "}",
            "{" + header + ",\"succeeded\":\"maybe\",\"responses\":{}}",
            "{" + header + ",\"succeeded\":true,\"responses\":[1,2,3,4]}",
            "{" + header + ",\"succeeded\":true,\"responses\":[{},{},{},{}]}",
            "{" + header + ",\"more\":true}",
            responses(header, range.formatted("\"kvs\":[1]")),
            responses(header, range.formatted("\"kvs\":[{\"key\":\"???\",\"mod_revision\":1}]")),
            responses(header, range.formatted("\"kvs\":[{\"key\":\"YQ==\"}]")),
            responses(
                header, range.formatted("\"kvs\":[{\"key\":\"YQ==\",\"mod_revision\":\"-1\"}]")),
            "{\"error\":{\"message\":[]}}",
            "{\"error\":7}")) {
      try (FakeServer fake = FakeServer.answeringJson(answer)) {
        TestNode node =
            TestNode.of("a", List.of(fake.url()), directory)
                .with("\"timeout\":1," + TestNode.DUAL_STACK);
        List<Executable> calls = List.of(() -> node.add("c"), () -> node.delete("c"));
        for (Executable call : calls) {
          CniException e = assertThrows(CniException.class, call, answer);
          assertTrue(codes.contains(e.code()), () -> answer + ": " + e);
        }
      }
    }
  }

  @Test
  void invalidListsAreReported() throws Exception {
    String header = "\"header\":{\"cluster_id\":\"1\",\"revision\":\"5\"}";
    for (String list :
        List.of("\"kvs\":[1]", "\"kvs\":[{\"key\":\"?\"}]", "\"more\":true,\"kvs\":[]")) {
      try (FakeServer fake = FakeServer.answeringJson("{" + header + "," + list + "}")) {
        TestNode node = TestNode.of("a", List.of(fake.url()), directory);
        CniException e = assertThrows(CniException.class, () -> node.gc("c"), list);
        assertEquals(6, e.code(), e::getMessage);
      }
    }
  }

  private static String responses(String header, String range) {
    return "{%s,\"succeeded\":true,\"responses\":[%s,%s,%s,%s]}"
        .formatted(header, range, range, range, range);
  }
}
