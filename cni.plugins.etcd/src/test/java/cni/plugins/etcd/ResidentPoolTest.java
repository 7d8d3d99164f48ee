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
import java.util.Set;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@RequiresEtcd
class ResidentPoolTest {
  private static final Duration TTL = Duration.ofSeconds(3);
  private static final Duration TIMEOUT = Duration.ofSeconds(20);

  private static EtcdCluster etcd;
  @TempDir private static Path root;

  @TempDir private Path directory;
  private SimulatedHost host;
  private TestNode node;

  @BeforeAll
  static void startEtcd() throws Exception {
    etcd = EtcdCluster.start(EtcdClusterOptions.members(1).in(root));
  }

  @AfterAll
  static void stopEtcd() throws Exception {
    etcd.close();
  }

  @BeforeEach
  void start() {
    host = new SimulatedHost(directory.resolve("state"));
    node = resident("a", host);
  }

  @AfterEach
  void stop() throws Exception {
    node.plugin().stop();
    etcd.etcdctl("del", "--prefix", TestNode.PREFIX);
  }

  private TestNode resident(String name, SimulatedHost on) {
    var plugin = new EtcdPlugin(TTL);
    plugin.start(on);
    TestNode plain = TestNode.of(name, etcd.endpoints(), directory);
    return new TestNode(plugin, name, plain.endpoints(), plain.directory(), plain.ipam());
  }

  private static void await(String what, Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + TIMEOUT.toNanos();
    while (!condition.call()) {
      assertTrue(System.nanoTime() - end < 0, what);
      Thread.sleep(50);
    }
  }

  private static boolean exists(String key) throws Exception {
    return !etcd.etcdctl("get", key, "--keys-only").isBlank();
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
    node.add("c0");
    node.add("c1"); // reads the records that the first ADD has created
    await("the lease", () -> exists("/test/nodes/a"));
    Thread.sleep(TTL.dividedBy(3).toMillis() + 200); // the first renewal registers the host
    node.add("c2");
    long fewest = Long.MAX_VALUE;
    for (int attempt = 0; attempt < 3; attempt++) { // a renewal may run in between
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
    TestNode process = TestNode.of("a", etcd.endpoints(), directory);
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
    assertFalse(etcd.etcdctl("get", "--prefix", "/test/blocks/").contains("blocks"));
    assertEquals(
        List.of(),
        new AllocationHistory(TestNode.PREFIX, new EtcdEvents(etcd, TestNode.PREFIX)).violations());
  }

  @Test
  void leaseShowsThatTheNodeRunsAndItsEndReleasesNothing() throws Exception {
    List<String> addresses = node.add("c1");
    await("a lease", () -> exists("/test/alive/a/n"));
    await(
        "the registration",
        () ->
            liveness("a") == Liveness.ALIVE
                && etcd.etcdctl("get", "/test/nodes/a").contains("\"host\":true"));
    TestNode b = TestNode.of("b", etcd.endpoints(), directory);
    CniException e =
        assertThrows(
            CniException.class, () -> b.plugin().releaseNode(b.networkRequest(), "a", false));
    assertEquals(4, e.code());
    assertTrue(e.getMessage().contains("is running"), e::getMessage);
    node.plugin().stop();
    assertFalse(exists("/test/alive/a/n"));
    assertEquals(Liveness.UNKNOWN, liveness("a"));
    node.check("c1", addresses);
    assertEquals(1, b.plugin().releaseNode(b.networkRequest(), "a", true));
    CniException missing = assertThrows(CniException.class, () -> node.check("c1", addresses));
    assertTrue(missing.getMessage().contains("not reserved"), missing::getMessage);
  }

  private Liveness liveness(String name) throws Exception {
    TestNode other = TestNode.of("z", etcd.endpoints(), directory);
    return other.plugin().report(other.networkRequest()).nodes().stream()
        .filter(it -> it.name().equals(name))
        .findFirst()
        .orElseThrow()
        .liveness();
  }

  @Test
  void nextHostRenewsTheLeaseBeforeItsFirstCall() throws Exception {
    node.add("c1");
    await("a lease", () -> exists("/test/alive/a/n"));
    node.plugin().stop();
    assertFalse(exists("/test/alive/a/n"));
    var next = new EtcdPlugin(TTL);
    next.start(host);
    try {
      await("a lease again", () -> exists("/test/alive/a/n"));
    } finally {
      next.stop();
    }
  }

  @Test
  void replacedPoolDoesNotRegisterAStoppedHost() throws Exception {
    node.add("c1");
    await("the registration", () -> etcd.etcdctl("get", "/test/nodes/a").contains("\"host\":true"));
    node.with("\"timeout\":9," + node.ipam()).add("c2"); // another configuration
    await("a lease", () -> exists("/test/alive/a/n"));
    node.plugin().stop();
    Thread.sleep(TTL);
    assertEquals(Liveness.UNKNOWN, liveness("a")); // not lost: nothing is released
    assertFalse(exists("/test/alive/a/n"));
  }

  @Test
  void releasedNodeThatRunsRecordsItsAddressesAgainAndReportsConflicts() throws Exception {
    List<String> one = node.add("c1");
    List<String> two = node.add("c2");
    host.attach("c1", one);
    host.attach("c2", two);
    await("the registration", () -> etcd.etcdctl("get", "/test/nodes/a").contains("\"host\":true"));
    etcd.etcdctl("del", "--prefix", "/test/handles/");
    etcd.etcdctl("del", "--prefix", "/test/blocks/");
    etcd.etcdctl("del", "--prefix", "/test/claims/");
    TestNode b = TestNode.of("b", etcd.endpoints(), directory);
    b.add("thief", java.util.Map.of("IP", one.getFirst()));
    etcd.etcdctl("del", "/test/nodes/a");
    await("c2", () -> exists("/test/handles/n/a/c2/eth0"));
    await("an event", () -> !host.events.isEmpty());
    PluginEvent event = host.events.getFirst();
    assertEquals(PluginEvent.Kind.ADDRESS_CONFLICT, event.kind());
    assertTrue(event.message().contains("thief"), event::message);
    node.check("c2", two);
  }
}
