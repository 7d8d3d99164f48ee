// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests that the links of concurrent DELs are deleted as groups, which contain no other links. */
@KernelTest
class ConcurrentDeleteTest {
  private static final int CONTAINERS = 24;

  private static final String IPAM =
      """
      "ipam": { "type": "host-local", "dataDir": "@DATA@",
                "ranges": [[{ "subnet": "10.61.0.0/24" }], [{ "subnet": "fd61::/64" }]] }
      """;

  private final TestHost host;
  private final List<NetNs> containers = new ArrayList<>();

  ConcurrentDeleteTest(TestHost host) throws IOException {
    this.host = host;
    for (int i = 0; i < CONTAINERS; i++) {
      containers.add(host.container("c" + i));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"bridge", "ptp"})
  void concurrentDeletesAreGroupedAndKeepOtherLinks(String type) throws Exception {
    host.network("n", "1.1.0", "{ \"type\": \"%s\", %s }".formatted(type, IPAM));
    NetNs unrelated = host.container("unrelated");
    TestBed.run(host.netns(), "ip", "link", "add", "bridge7", "type", "bridge");
    TestBed.run(host.netns(), "ip", "link", "add", "other7", "type", "veth", "peer", "other8");
    Path log = host.cache().resolveSibling("link-events");
    Process monitor = monitor(log);
    try (Cni cni = host.openCni()) {
      Network network = cni.network("n");
      for (NetNs container : containers) {
        network.add(attachment(container));
      }
      // One host end was moved to another namespace, and one container's namespace is deleted.
      TestBed.run(host.netns(), "ip", "link", "set", hostEnd(network, 3), "netns", name(unrelated));
      NetNs.delete(name(containers.get(5)));
      deleteAll(network);
      awaitGroupDeletion(log);
      TestBed.run(host.netns(), "ip", "link", "delete", "other7");
      NetNs[] remaining =
          containers.stream().filter(it -> it != containers.get(5)).toArray(NetNs[]::new);
      host.assertNothingLeft("n", remaining);
      assertEquals(List.of(), TestBed.linkNames(unrelated, "veth"));
      deleteAll(network);
    } finally {
      monitor.destroy();
    }
    assertEquals(
        List.of("bridge7"),
        TestBed.linkNames(host.netns(), "bridge").stream().filter(it -> it.endsWith("7")).toList());
  }

  private static String name(NetNs namespace) {
    return String.valueOf(namespace.path().getFileName());
  }

  private String hostEnd(Network network, int container) throws CniException {
    return network
        .cachedResult(attachment(containers.get(container)).id())
        .orElseThrow()
        .interfaces()
        .stream()
        .map(Result.Interface::name)
        .filter(name -> name.startsWith("veth"))
        .findFirst()
        .orElseThrow();
  }

  /** Starts {@code ip monitor} for the host's links, with its output in a file. */
  private Process monitor(Path file) throws Exception {
    Process monitor =
        new ProcessBuilder("ip", "netns", "exec", name(host.netns()), "ip", "monitor", "link")
            .redirectErrorStream(true)
            .redirectOutput(file.toFile())
            .start();
    for (int i = 0; Files.size(file) == 0; i++) { // until it prints the first change
      assertTrue(i < 100, "ip monitor prints nothing");
      TestBed.run(host.netns(), "ip", "link", "set", "bridge7", "mtu", String.valueOf(1400 + i));
      Thread.sleep(50);
    }
    return monitor;
  }

  /** Waits until at least half of the links have been deleted as members of a group. */
  private static void awaitGroupDeletion(Path log) throws Exception {
    long grouped = 0;
    for (int i = 0; i < 100 && grouped < CONTAINERS / 2; i++) {
      Thread.sleep(50);
      grouped =
          Files.readAllLines(log).stream()
              .filter(line -> line.matches("Deleted .*veth.* group \\d{10} .*"))
              .count();
    }
    assertTrue(grouped >= CONTAINERS / 2, grouped + " in groups:\n" + Files.readString(log));
  }

  private void deleteAll(Network network) throws Exception {
    var start = new CountDownLatch(1);
    try (ExecutorService executor = Executors.newFixedThreadPool(CONTAINERS)) {
      List<Future<?>> deletions = new ArrayList<>();
      for (NetNs container : containers) {
        Attachment attachment = attachment(container);
        deletions.add(
            executor.submit(
                () -> {
                  start.await();
                  network.delete(attachment);
                  return true;
                }));
      }
      start.countDown();
      for (Future<?> deletion : deletions) {
        deletion.get();
      }
    }
  }
}
