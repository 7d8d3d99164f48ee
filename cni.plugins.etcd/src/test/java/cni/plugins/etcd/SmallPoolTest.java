// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static java.util.Objects.requireNonNull;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.plugins.etcd.ClientLog.Entry;
import cni.plugins.etcd.ClientLog.Outcome;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Hosts that contend for the addresses of a small pool, which has fewer blocks than hosts. */
@RequiresEtcd
@Timeout(120)
class SmallPoolTest {
  private static final int HOSTS = 16;
  private static final int ROUNDS = 12;

  /** Of a /27: all but the network, the gateway and the broadcast address. */
  private static final int CAPACITY = 29;

  @RegisterExtension private static final SharedEtcd etcd = SharedEtcd.of(1);

  @TempDir private Path directory;
  private EtcdEvents events;
  private AllocationCampaign campaign;

  @BeforeEach
  void open() {
    events = new EtcdEvents(etcd.cluster(), TestNode.PREFIX);
    campaign = new AllocationCampaign(etcd.endpoints(), directory, new ClientLog());
  }

  @AfterEach
  void close() {
    campaign.close();
  }

  private static String pool(int blockSize) {
    return "\"gcGrace\":0,\"ranges\":[[{\"subnet\":\"10.2.0.0/27\"}]],\"blockSize\":" + blockSize;
  }

  private interface Work {
    void run(LoggedNode node, Random random) throws Exception;
  }

  private void onEachNode(Work work) throws Exception {
    List<Callable<Void>> calls = new ArrayList<>();
    for (LoggedNode node : campaign.nodes()) {
      calls.add(
          () -> {
            work.run(node, new Random(node.name().hashCode()));
            return null;
          });
    }
    AllocationCampaign.runAll(calls);
  }

  @ParameterizedTest
  @ValueSource(ints = {30, 29})
  void eachAddressIsAssignedAndReleased(int blockSize) throws Exception {
    campaign.withNodes("h", HOSTS, pool(blockSize));
    onEachNode(
        (node, random) -> {
          for (int i = 0; i < 3; i++) {
            node.add("c" + i); // 48 for 29 addresses
          }
        });
    assertEquals(CAPACITY, AllocationCampaign.handles(etcd.cluster()).size());
    assertExhausted(3 * HOSTS - CAPACITY);
    onEachNode(
        (node, random) -> {
          for (int i = 0; i < ROUNDS; i++) {
            node.delete("c" + random.nextInt(3));
            node.add("c" + random.nextInt(3));
          }
        });
    onEachNode(
        (node, random) -> {
          for (int i = 0; i < 3; i++) {
            assertEquals(Outcome.SUCCESS, node.delete("c" + i));
          }
        });
    AllocationCampaign.assertNoAddresses(etcd.cluster());
    LoggedNode last = campaign.nodes().getLast();
    for (int i = 0; i < CAPACITY; i++) {
      assertEquals(Outcome.SUCCESS, last.add("d" + i));
    }
    assertEquals(Outcome.FAILED, last.add("one more"));
    assertEquals(CAPACITY, AllocationCampaign.handles(etcd.cluster()).size());
    campaign.assertOnlyLiveHandles(etcd.cluster());
    campaign.assertNoViolations(events);
  }

  private void assertExhausted(int expected) {
    List<Entry> failed =
        campaign.log().entries().stream().filter(it -> it.outcome() == Outcome.FAILED).toList();
    assertEquals(expected, failed.size());
    for (Entry it : failed) {
      assertTrue(it.message().contains("range set 0 (10.2.0.1-10.2.0.30)"), it::message);
    }
  }

  /** The hosts never need more than the pool has, in whatever order their calls are performed. */
  @ParameterizedTest
  @ValueSource(ints = {30, 31})
  void poolIsNotExhaustedWhileAnAddressIsFree(int blockSize) throws Exception {
    campaign.withNodes("h", 13, pool(blockSize).replace("/27", "/28"));
    onEachNode(
        (node, random) -> {
          for (int i = 0; i < 3 * ROUNDS; i++) {
            assertEquals(Outcome.SUCCESS, node.add("c" + i), () -> last(node));
            assertEquals(Outcome.SUCCESS, node.delete("c" + i), () -> last(node));
          }
        });
    AllocationCampaign.assertNoAddresses(etcd.cluster());
    campaign.assertNoViolations(events);
  }

  private static String last(LoggedNode node) {
    return node.log().entries().stream()
        .filter(it -> it.handle().contains("/" + node.name() + "/"))
        .toList()
        .getLast()
        .toString();
  }

  @Test
  void keptAddressesReturnOrAreEvicted() throws Exception {
    campaign.withNodes("h", HOSTS / 2, "\"sticky\":true," + pool(30));
    int names = 2 * CAPACITY;
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(8);
    onEachNode(
        (node, random) -> {
          // Each pod belongs to one node at a time; all nodes use all pods in the end.
          int own = campaign.nodes().indexOf(node);
          for (int i = 0; System.nanoTime() - end < 0; i++) {
            int pod = (own + HOSTS / 2 * random.nextInt(names / (HOSTS / 2))) % names;
            String container = "pod" + pod + "-" + i;
            if (node.add(container, pod(pod)) == Outcome.SUCCESS) {
              assertEquals(Outcome.SUCCESS, node.delete(container));
            }
          }
        });
    campaign.assertOnlyLiveHandles(etcd.cluster());
    campaign.assertNoViolations(events);
    System.out.println("sticky: " + campaign.summary());
    assertMovesToAnotherNode();
    campaign.assertNoViolations(events);
  }

  private void assertMovesToAnotherNode() throws Exception {
    LoggedNode first = campaign.nodes().getFirst();
    for (LoggedNode node : campaign.nodes()) {
      first.add("before-" + node.name(), pod(1000));
      List<String> before = address(first, "before-" + node.name());
      assertEquals(Outcome.SUCCESS, first.delete("before-" + node.name()));
      assertEquals(Outcome.SUCCESS, node.add("after", pod(1000)));
      assertEquals(before, address(node, "after"));
      assertEquals(Outcome.SUCCESS, node.delete("after"));
    }
    // All kept addresses can be assigned to others.
    for (int i = 0; i < CAPACITY; i++) {
      assertEquals(Outcome.SUCCESS, first.add("evicting" + i, pod(2000 + i)));
    }
    CniException e = assertThrows(CniException.class, () -> first.node().add("x", pod(3000)));
    assertEquals(11, e.code());
  }

  private List<String> address(LoggedNode node, String container) {
    return requireNonNull(AllocationCampaign.live(campaign.log()).get(node.handle(container)));
  }

  private static Map<String, String> pod(int number) {
    return Map.of("K8S_POD_NAMESPACE", "ns", "K8S_POD_NAME", "pod" + number);
  }
}
