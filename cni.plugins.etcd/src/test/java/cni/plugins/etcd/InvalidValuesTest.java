// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

@RequiresEtcd
class InvalidValuesTest {
  private static final List<String> NO_OBJECTS = List.of("x", "[]", "1", "{");

  @TempDir private static Path root;
  private static EtcdCluster etcd;

  @TempDir private Path directory;

  @BeforeAll
  static void start() throws Exception {
    etcd = EtcdCluster.start(EtcdClusterOptions.members(1).in(root));
  }

  @AfterAll
  static void stop() throws Exception {
    etcd.close();
  }

  @AfterEach
  void empty() throws Exception {
    etcd.etcdctl("del", "--prefix", TestNode.PREFIX);
  }

  private TestNode node() {
    return TestNode.of("a", etcd.endpoints(), directory);
  }

  /** Calls the plugin with a key set; each call succeeds or fails with an error that names it. */
  private void requireNamed(int code, String key, String value, Executable... calls)
      throws Exception {
    etcd.etcdctl("put", "--", TestNode.PREFIX + key, value);
    for (Executable call : calls) {
      CniException e = assertThrows(CniException.class, call, () -> key + " = " + value);
      assertEquals(code, e.code(), e::getMessage);
      assertTrue(e.getMessage().contains(TestNode.PREFIX + key), e::getMessage);
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

  private void report() throws CniException {
    TestNode node = node();
    node.plugin().report(node.networkRequest());
  }

  @Test
  void invalidKeysAreNamed() throws Exception {
    TestNode node = node();
    String block = "{\"used\":\"1\",\"next\":0}";
    for (String id :
        List.of("x", "10.1.0.0", "10.1.0.0-99", "10.1.0.1-26", "10.0.0.0-8", "fd00::-64", "a/b")) {
      requireNamed(6, "/blocks/n/a/" + id, block, () -> node.add("c"), node::status, this::report);
      requireNamed(6, "/claims/n/" + id, "{\"node\":\"b\"}", node::status);
    }
    requireNamed(6, "/blocks/n/x", block, this::report);
    for (String handle : List.of("a", "a/", "a/c", "a/c/eth0/x", "a//eth0")) {
      requireNamed(6, "/handles/n/" + handle, "{}", this::report);
    }
    requireNamed(6, "/handles/n/a/c", "{}", () -> node.gc("x"));
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
    requireNamed(7, "/networks/n", "{\"blockSize\":24,\"blockSizeV6\":120}", calls);
    for (String value : NO_OBJECTS) {
      requireNamed(6, "/schema", value, calls);
    }
    for (String value : List.of("{}", "{\"version\":2}", "{\"version\":\"x\"}")) {
      requireNamed(2, "/schema", value, calls);
    }
    requireNamed(6, "/schema", "{\"version\":1,\"restored\":{\"since\":\"x\"}}", calls);
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
