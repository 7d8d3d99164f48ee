// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Deadline;
import cni.plugins.etcd.client.EtcdClient;
import cni.plugins.etcd.client.EtcdOptions;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.TlsOptions;
import cni.plugins.etcd.client.Txn;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

@RequiresEtcd
class EtcdAuthenticationTest {
  private static final String PASSWORD = "s3cret-Wort";
  private static final String WRONG = "wr0ng-Wort";

  @RegisterExtension private static final SharedEtcd etcd = SharedEtcd.of(1);

  @TempDir private Path directory;

  @BeforeAll
  static void enableAuth() throws Exception {
    etcd.cluster().enableAuth("root-Wort", "cni", PASSWORD, TestNode.PREFIX);
  }

  private TestNode node(String keys) {
    return etcd.node("a", directory).with("\"timeout\":3," + keys + TestNode.DUAL_STACK);
  }

  private TestNode user(String user, String password) {
    return node("\"user\":\"" + user + "\",\"password\":\"" + password + "\",");
  }

  private static void refusal(TestNode node, String text) {
    CniException e = assertThrows(CniException.class, () -> node.add("c"));
    assertEquals(7, e.code(), e::getMessage);
    assertTrue(e.getMessage().contains(text), e::getMessage);
    var trace = new StringWriter();
    e.printStackTrace(new PrintWriter(trace));
    for (String secret : List.of(PASSWORD, WRONG)) {
      assertFalse(trace.toString().contains(secret), trace::toString);
    }
  }

  @Test
  void userWithItsPasswordIsAccepted() throws Exception {
    TestNode node = user("cni", PASSWORD);
    node.add("c1");
    node.delete("c1");
    Path file = Files.writeString(directory.resolve("password"), PASSWORD + "\n");
    node("\"user\":\"cni\",\"passwordFile\":\"" + file + "\",").status();
  }

  @Test
  void wrongUsersAndPasswordsAreRefused() throws Exception {
    refusal(user("cni", WRONG), "check ipam.user and ipam.password");
    refusal(user("nobody", PASSWORD), "check ipam.user and ipam.password");
    refusal(node(""), "set ipam.user");
  }

  @Test
  void passwordFileWithoutAPasswordIsNamed() throws Exception {
    Path empty = Files.writeString(directory.resolve("empty"), "\n");
    for (Path it : List.of(empty, directory.resolve("missing"), directory, Path.of("/dev/zero"))) {
      String quoted = "\"" + it + "\"";
      refusal(
          node("\"user\":\"cni\",\"passwordFile\":" + quoted + ","), "ipam.passwordFile " + quoted);
    }
  }

  @Test
  void userWithoutPermissionIsReportedWithTheRemedy() throws Exception {
    refusal(node("\"user\":\"cni\",\"password\":\"" + PASSWORD + "\",\"prefix\":\"/x\","), "grant");
  }

  @Test
  void statusFailsForAUserWhoMayOnlyRead() throws Exception {
    user("cni", PASSWORD).add("c1");
    String end = TestNode.PREFIX + "0"; // the key after all that begin with the prefix and a slash
    etcd.etcdctl("role", "add", "reader");
    etcd.etcdctl("role", "grant-permission", "reader", "read", TestNode.PREFIX + "/", end);
    etcd.etcdctl("user", "add", "reader:" + PASSWORD);
    etcd.etcdctl("user", "grant-role", "reader", "reader");
    CniException e = assertThrows(CniException.class, () -> user("reader", PASSWORD).status());
    assertEquals(7, e.code(), e::getMessage);
    assertTrue(e.getMessage().contains("grant"), e::getMessage);
    user("cni", PASSWORD).delete("c1");
  }

  @Test
  void userIsNotNeededWithoutAuthentication() throws Exception {
    try (EtcdCluster open = EtcdCluster.start(EtcdClusterOptions.members(1).in(directory))) {
      TestNode node = user("cni", PASSWORD).at(open.endpoints());
      node.add("c1");
      try (EtcdClient client = client(open, PASSWORD)) {
        put(client, "1");
        open.enableAuth("root-Wort", "cni", PASSWORD, TestNode.PREFIX);
        put(client, "2");
        node.add("c2");
        open.etcdctl("auth", "disable");
        put(client, "3");
        node.add("c3");
      }
    }
  }

  private static EtcdClient client(EtcdCluster cluster, String password) throws CniException {
    return EtcdClient.create(
        new EtcdOptions(
            cluster.endpoints().stream().map(URI::create).toList(),
            TlsOptions.DEFAULT,
            Optional.of(new EtcdOptions.Credentials("cni", password)),
            Duration.ofSeconds(10)));
  }

  private static void put(EtcdClient client, String value) throws CniException {
    client.commit(
        new Txn().then(new Op.Put(TestNode.PREFIX + "/x", value)),
        Deadline.after(Duration.ofSeconds(20)));
  }

  @Test
  void tokenIsRenewedAfterAChangeOfUsersAndARestart() throws Exception {
    try (EtcdClient client = client(etcd.cluster(), PASSWORD)) {
      put(client, "1");
      etcd.etcdctl("user", "add", "more:x");
      put(client, "2");
      etcd.cluster().member(0).kill();
      etcd.cluster().member(0).start();
      etcd.cluster().awaitHealthy();
      put(client, "3");
      etcd.etcdctl("role", "add", "another");
      try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
        List<Future<?>> puts = new ArrayList<>();
        for (int i = 0; i < 32; i++) {
          puts.add(
              threads.submit(
                  () -> {
                    put(client, "4");
                    return null;
                  }));
        }
        for (Future<?> it : puts) {
          it.get();
        }
      }
    }
  }

  @Test
  void invalidTokensAreReported() throws Exception {
    for (String token : List.of("", "a\\nb", "\\u00e4", "a b")) {
      String answer = "{\"header\":{},\"token\":\"" + token + "\"}";
      try (FakeServer fake = FakeServer.answeringJson(answer)) {
        refusal(user("cni", PASSWORD).at(List.of(fake.url())), "its token is");
      }
    }
  }
}
