// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AddressReport;
import cni.api.AddressReport.Liveness;
import cni.api.CniException;
import cni.testing.JavaProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** A node whose resident host, a process, is killed. */
@RequiresEtcd
@Timeout(120)
class LostNodeTest {
  /** Above etcd's minimum of 2 s, which is 1.5 election timeouts. */
  private static final Duration TTL = Duration.ofSeconds(3);

  private static final String ADDRESS = "10.1.9.9";

  @RegisterExtension private static final SharedEtcd etcd = SharedEtcd.of(1);

  @TempDir private Path directory;
  private ServerProcess host;
  private TestNode b;

  /** A resident host of node a. */
  static final class Host {
    private Host() {}

    /**
     * Arguments: the endpoint, the directory of the nodes, and the container to add, if any. Runs
     * until it is killed.
     */
    public static void main(String[] args) throws Exception {
      Path directory = Path.of(args[1]);
      var plugin = new EtcdPlugin(TTL);
      plugin.start(new SimulatedHost(directory.resolve("state")));
      if (args.length > 2) {
        TestNode node = TestNode.of("a", List.of(args[0]), directory).with(plugin);
        node.add(args[2], Map.of("IP", ADDRESS));
      }
      new CountDownLatch(1).await();
    }
  }

  @BeforeEach
  void start() throws Exception {
    b = etcd.node("b", directory);
    host = startHost("c1");
    awaitLiveness(Liveness.ALIVE);
    etcd.awaitHost("a");
  }

  @AfterEach
  void stop() {
    host.kill();
  }

  private ServerProcess startHost(String... containers) throws Exception {
    List<String> arguments =
        new ArrayList<>(List.of(etcd.endpoints().getFirst(), directory.toString()));
    arguments.addAll(List.of(containers));
    return ServerProcess.start(
        List.of(), JavaProcess.command(Host.class, arguments.toArray(String[]::new)), output());
  }

  private Path output() {
    return directory.resolve("output");
  }

  private void awaitLiveness(Liveness expected) throws Exception {
    Polling.await(
        "node a is " + expected,
        () -> {
          if (expected == Liveness.ALIVE && !host.isAlive()) {
            throw new IOException("the host has ended: " + Files.readString(output()));
          }
          return b.liveness("a").filter(it -> it == expected).isPresent();
        });
  }

  @Test
  void addressesOfALostNodeAreReservedUntilItIsReleased() throws Exception {
    host.kill();
    awaitLiveness(Liveness.LOST);
    assertFalse(etcd.exists("/test/alive/a/n"));
    AddressReport report = b.plugin().report(b.networkRequest());
    assertEquals(List.of(), report.problems());
    assertEquals(
        List.of("a"), report.holders().stream().map(it -> it.node().orElseThrow()).toList());
    CniException taken = assertThrows(CniException.class, () -> b.add("c2", Map.of("IP", ADDRESS)));
    assertTrue(taken.getMessage().contains("container c1"), taken::getMessage);

    assertEquals(1, b.plugin().releaseNode(b.networkRequest(), "a", false));
    assertEquals(List.of(), etcd.keys("/test/handles/n/a/"));
    assertEquals(List.of(), etcd.keys("/test/blocks/n/a/"));
    assertEquals(ADDRESS, b.add("c2", Map.of("IP", ADDRESS)).getFirst());
    assertTrue(b.liveness("a").isEmpty());
    assertEquals(List.of(), etcd.violations());
  }

  @Test
  void nextHostOfALostNodeIsAliveAndHasItsAddresses() throws Exception {
    host.kill();
    awaitLiveness(Liveness.LOST);
    host = startHost();
    awaitLiveness(Liveness.ALIVE);
    assertEquals(ADDRESS, etcd.node("a", directory).add("c1").getFirst());
    assertEquals(List.of(), etcd.violations());
  }
}
