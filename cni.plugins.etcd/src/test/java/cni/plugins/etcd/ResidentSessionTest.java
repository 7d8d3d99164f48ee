// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AddressReport.Liveness;
import cni.api.CniException;
import cni.api.PluginEvent;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

@RequiresEtcd
class ResidentSessionTest {
  private static final Duration TTL = Duration.ofSeconds(3);

  @RegisterExtension private static final SharedEtcd etcd = SharedEtcd.of(1);

  @TempDir private Path directory;
  private SimulatedHost host;
  private TestNode node;

  @BeforeEach
  void start() {
    host = new SimulatedHost(directory.resolve("state"));
    node = resident(TTL);
  }

  @AfterEach
  void stop() {
    node.plugin().stop();
  }

  private TestNode resident(Duration ttl) {
    var plugin = new EtcdPlugin(ttl);
    plugin.start(host);
    return etcd.node("a", directory).with(plugin);
  }

  /** Returns how many requests of a method etcd has served. */
  private static long served(String method) throws Exception {
    try (HttpClient client = HttpClient.newHttpClient()) {
      String metrics =
          client
              .send(
                  HttpRequest.newBuilder(URI.create(etcd.endpoints().getFirst() + "/metrics"))
                      .build(),
                  BodyHandlers.ofString())
              .body();
      return metrics
          .lines()
          .filter(it -> it.startsWith("grpc_server_handled_total{"))
          .filter(it -> it.contains("grpc_method=\"" + method + "\""))
          .mapToLong(it -> (long) Double.parseDouble(it.substring(it.lastIndexOf(' ') + 1)))
          .sum();
    }
  }

  private static long requests() throws Exception {
    return served("Txn") + served("Range");
  }

  @Test
  void addCostsOneTransactionOnceTheBlockIsKnown() throws Exception {
    node.plugin().stop();
    node = resident(Duration.ofHours(1)); // no renewal but the first runs during the test
    node.add("c0");
    node.add("c1"); // reads the records that the first ADD has created
    Polling.await("a lease", () -> etcd.exists("/test/alive/a/n"));
    node.add("c2");
    long fewest = Long.MAX_VALUE;
    for (int attempt = 0; attempt < 3; attempt++) { // the first renewal may register the host
      long before = requests();
      for (int i = 0; i < 10; i++) {
        node.add("d" + attempt + i);
      }
      fewest = Math.min(fewest, requests() - before);
    }
    assertEquals(10, fewest);
  }

  @Test
  void watchFollowsWhatOtherProcessesDo() throws Exception {
    node.add("c0");
    TestNode process = etcd.node("a", directory);
    Set<String> addresses = new HashSet<>();
    for (int i = 0; i < 30; i++) {
      assertTrue(addresses.addAll(node.add("r" + i)));
      assertTrue(addresses.addAll(process.add("p" + i)));
    }
    for (int i = 0; i < 30; i++) {
      process.delete("r" + i);
      node.delete("p" + i);
    }
    node.delete("c0");
    assertEquals(List.of(), etcd.keys("/test/blocks/"));
    assertEquals(List.of(), etcd.violations());
  }

  @Test
  void leaseShowsThatTheNodeRunsAndItsEndReleasesNothing() throws Exception {
    List<String> addresses = node.add("c1");
    etcd.awaitHost("a");
    Polling.await("a lease", () -> liveness("a") == Liveness.ALIVE);
    TestNode b = etcd.node("b", directory);
    CniException e =
        assertThrows(
            CniException.class, () -> b.plugin().releaseNode(b.networkRequest(), "a", false));
    assertEquals(4, e.code());
    assertTrue(e.getMessage().contains("is running"), e::getMessage);
    node.plugin().stop();
    assertFalse(etcd.exists("/test/alive/a/n"));
    assertEquals(Liveness.UNKNOWN, liveness("a"));
    node.check("c1", addresses);
    assertEquals(1, b.plugin().releaseNode(b.networkRequest(), "a", true));
    CniException missing = assertThrows(CniException.class, () -> node.check("c1", addresses));
    assertTrue(missing.getMessage().contains("not reserved"), missing::getMessage);
  }

  private Liveness liveness(String name) throws Exception {
    return etcd.node("z", directory).liveness(name).orElseThrow();
  }

  @Test
  void hostHasALeaseForTheAttachmentsThatItFinds() throws Exception {
    TestNode other = etcd.node("x", directory);
    List<String> addresses = other.add("c1"); // by an executable, before there was a host
    var found = new SimulatedHost(directory.resolve("other"));
    found.setPlugins(other.config());
    found.attach("c1", addresses);
    var plugin = new EtcdPlugin(TTL);
    plugin.start(found);
    try {
      Polling.await("a lease", () -> etcd.exists("/test/alive/x/n"));
      Polling.await("the host", () -> etcd.etcdctl("get", "/test/nodes/x").contains("true"));
    } finally {
      plugin.stop();
    }
  }

  @Test
  void interruptedAddIsTakenBack() throws Exception {
    try (var proxy = new ConnectionProxy(etcd.endpoints().getFirst())) {
      TestNode behind =
          new TestNode(
              node.plugin(), "a", List.of(proxy.endpoint()), node.directory(), node.ipam());
      List<String> kept = behind.add("c1"); // from now on an ADD is one request
      proxy.setHoldingAnswers(true);
      Thread thread =
          Thread.ofPlatform().start(() -> assertThrows(CniException.class, () -> behind.add("c2")));
      Polling.await("the handle", () -> etcd.exists("/test/handles/n/a/c2/eth0"));
      thread.interrupt();
      Thread.sleep(100); // it has given up by then
      proxy.setHoldingAnswers(false);
      Polling.await("the undoing", () -> !etcd.exists("/test/handles/n/a/c2/eth0"));
      thread.join();
      behind.check("c1", kept);
    }
  }

  @Test
  void nextHostRenewsTheLeaseBeforeItsFirstCall() throws Exception {
    node.add("c1");
    Polling.await("a lease", () -> etcd.exists("/test/alive/a/n"));
    node.plugin().stop();
    assertFalse(etcd.exists("/test/alive/a/n"));
    var next = new EtcdPlugin(TTL);
    next.start(host);
    try {
      Polling.await("a lease again", () -> etcd.exists("/test/alive/a/n"));
    } finally {
      next.stop();
    }
  }

  @Test
  void replacedSessionDoesNotRegisterAStoppedHost() throws Exception {
    node.add("c1");
    etcd.awaitHost("a");
    node.with("\"timeout\":9," + node.ipam()).add("c2"); // another configuration
    Polling.await("a lease", () -> etcd.exists("/test/alive/a/n"));
    node.plugin().stop();
    Thread.sleep(TTL);
    assertEquals(Liveness.UNKNOWN, liveness("a")); // not lost: nothing is released
    assertFalse(etcd.exists("/test/alive/a/n"));
  }

  @Test
  void releasedNodeThatRunsRecordsItsAddressesAgainAndReportsConflicts() throws Exception {
    List<String> one = node.add("c1");
    List<String> two = node.add("c2");
    host.attach("c1", one);
    host.attach("c2", two);
    etcd.awaitHost("a");
    etcd.etcdctl("del", "--prefix", "/test/handles/");
    etcd.etcdctl("del", "--prefix", "/test/blocks/");
    etcd.etcdctl("del", "--prefix", "/test/claims/");
    TestNode b = etcd.node("b", directory);
    b.add("thief", Map.of("IP", one.getFirst()));
    etcd.etcdctl("del", "/test/nodes/a");
    Polling.await("c2", () -> etcd.exists("/test/handles/n/a/c2/eth0"));
    Polling.await("an event", () -> !host.events.isEmpty());
    PluginEvent event = host.events.getFirst();
    assertEquals(PluginEvent.Kind.ADDRESS_CONFLICT, event.kind());
    assertTrue(event.message().contains("thief"), event::message);
    node.check("c2", two);
  }
}
