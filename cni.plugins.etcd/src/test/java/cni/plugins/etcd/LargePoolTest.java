// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Deadline;
import cni.plugins.etcd.client.EtcdClient;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.Txn;
import java.math.BigInteger;
import java.net.InetAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The time of ADD and DEL does not depend on the number of addresses in the store. */
@RequiresEtcd
@Timeout(180)
class LargePoolTest {
  private static final String IPAM = "\"gcGrace\":0,\"ranges\":[[{\"subnet\":\"10.3.0.0/16\"}]]";
  private static final int FEW = 100;
  private static final int MANY = 60_000;
  private static final int BLOCK_SIZE = 64;
  private static final int PREFIX_LENGTH = 26;
  private static final int BLOCKS = 1024;

  /** The blocks of one node, which has 10,000 addresses of its own. */
  private static final int BLOCKS_OF_LARGE_NODE = 157;

  private static final int OTHER_NODES = 50;
  private static final int WRITERS = 4;

  /** More than the free addresses of a block, so that blocks are claimed and released. */
  private static final int CALLS = 70;

  private static final double MAX_RATIO = 3;
  private static final int COMPACTIONS = 5;

  @TempDir private Path directory;

  /** Median times. */
  private record Times(Duration add, Duration delete) {}

  @Test
  void timeOfCallsDoesNotDependOnTheNumberOfAddresses() throws Exception {
    try (EtcdCluster etcd = EtcdCluster.start(EtcdClusterOptions.members(3).in(directory));
        var campaign =
            new AllocationCampaign(etcd.endpoints(), directory.resolve("nodes"), new ClientLog())) {
      TestNode single = campaign.addNode("large", false, IPAM).node();
      TestNode other = campaign.addNode("other", false, IPAM).node();
      TestNode resident = campaign.addNode("resident-large", true, IPAM).node();
      List<TestNode> measured = List.of(single, other, resident);
      for (int i = 0; i < FEW; i++) {
        measured.get(i % measured.size()).add("first" + i);
      }
      for (TestNode node : measured) {
        measure(node); // compiles the code
      }
      List<Times> few = measureAll(measured);
      long start = System.nanoTime();
      fill(single);
      System.out.printf("filled in %.1f s%n", (System.nanoTime() - start) / 1e9);
      resident.plugin().stop(); // it reads its blocks as it starts again
      resident.plugin().start(new SimulatedHost(directory.resolve("host")));
      resident.add("after");
      List<Times> many = measureAll(measured);
      assertValid(etcd);
      assertListedDuringCompactions(etcd, single);
      for (int i = 0; i < measured.size(); i++) {
        compare(measured.get(i).name() + " ADD", few.get(i).add(), many.get(i).add());
        compare(measured.get(i).name() + " DEL", few.get(i).delete(), many.get(i).delete());
      }
    }
  }

  private static List<Times> measureAll(List<TestNode> nodes) throws Exception {
    List<Times> times = new ArrayList<>();
    for (TestNode node : nodes) {
      times.add(measure(node));
    }
    return times;
  }

  private static Times measure(TestNode node) throws Exception {
    List<Duration> adds = new ArrayList<>();
    List<Duration> deletions = new ArrayList<>();
    for (int i = 0; i < CALLS; i++) {
      long start = System.nanoTime();
      node.add("measured" + i);
      adds.add(Duration.ofNanos(System.nanoTime() - start));
    }
    for (int i = 0; i < CALLS; i++) {
      long start = System.nanoTime();
      node.delete("measured" + i);
      deletions.add(Duration.ofNanos(System.nanoTime() - start));
    }
    return new Times(median(adds), median(deletions));
  }

  private static Duration median(List<Duration> times) {
    return times.stream().sorted().toList().get(times.size() / 2);
  }

  private static void compare(String what, Duration few, Duration many) {
    double ratio = (double) many.toNanos() / few.toNanos();
    System.out.printf(
        "%s: %.2f ms with %d addresses, %.2f ms with %d, ratio %.2f%n",
        what, few.toNanos() / 1e6, FEW, many.toNanos() / 1e6, MANY, ratio);
    assertTrue(ratio < MAX_RATIO, () -> what + " " + ratio);
  }

  /** Writes full blocks with their handles, a transaction each. */
  private static void fill(TestNode node) throws Exception {
    StoreConfig config = StoreConfig.parse(node.config());
    try (EtcdStore store = EtcdStore.open(config)) {
      Set<BlockId> claimed = new HashSet<>();
      String blocksOfAll = store.keys().blocks(store.network());
      for (KeyValue it : store.list(blocksOfAll, Deadline.none()).keys()) {
        claimed.add(store.blockId(it));
      }
      List<BlockId> free = new ArrayList<>();
      for (int i = 1; i < BLOCKS; i++) { // not that of the gateway
        var address = InetAddress.ofLiteral("10.3.%d.%d".formatted(i / 4, i % 4 * BLOCK_SIZE));
        var id = BlockId.of(address, PREFIX_LENGTH);
        if (!claimed.contains(id)) {
          free.add(id);
        }
      }
      List<Callable<Void>> writers = new ArrayList<>();
      int blocks = MANY / BLOCK_SIZE;
      for (int writer = 0; writer < WRITERS; writer++) {
        int first = writer;
        writers.add(
            () -> {
              for (int i = first; i < blocks; i += WRITERS) {
                write(store.of(owner(i), TestNode.NETWORK), free.get(i));
              }
              return null;
            });
      }
      AllocationCampaign.runAll(writers);
    }
  }

  private static String owner(int block) {
    return block < BLOCKS_OF_LARGE_NODE
        ? "large"
        : block < 2 * BLOCKS_OF_LARGE_NODE ? "resident-large" : "node" + block % OTHER_NODES;
  }

  private static void write(EtcdStore store, BlockId id) throws Exception {
    EtcdKeys keys = store.keys();
    String network = store.network();
    BigInteger all = BigInteger.TWO.pow(BLOCK_SIZE).subtract(BigInteger.ONE);
    var block = new Block(id, store.node(), all, 0, 0);
    Txn txn =
        new Txn()
            .requireAbsent(keys.claim(network, id))
            .then(new Op.Put(keys.claim(network, id), EtcdStore.nodeValue(store.node())))
            .then(new Op.Put(keys.block(network, store.node(), id), block.toJson()));
    for (int i = 0; i < BLOCK_SIZE; i++) {
      var attachment = TestNode.id("c-" + id + "-" + i);
      var address = new ReservedAddress(id.addressAt(i), id, store.node());
      Handle handle = Handle.now(attachment, store.node(), List.of(address), Optional.empty());
      txn.then(new Op.Put(keys.handle(network, store.node(), attachment), handle.toJson()));
    }
    assertTrue(store.commit(txn, Deadline.none()).succeeded());
  }

  /** Checks the last state; the state after each revision would take too long. */
  private static void assertValid(EtcdCluster etcd) throws Exception {
    var state = new AllocationState(TestNode.PREFIX);
    long handles = 0;
    List<String> lines = etcd.etcdctl("get", "--prefix", TestNode.PREFIX).lines().toList();
    for (int i = 0; i < lines.size(); i += 2) {
      state.apply(new HistorySource.Event(lines.get(i), lines.get(i + 1)));
      handles += lines.get(i).startsWith(TestNode.PREFIX + "/handles/") ? 1 : 0;
    }
    assertEquals(Set.of(), state.violations());
    assertTrue(handles >= MANY - BLOCK_SIZE, handles + " handles");
  }

  /** A listing whose revision is compacted between two of its pages begins again. */
  private static void assertListedDuringCompactions(EtcdCluster etcd, TestNode node)
      throws Exception {
    try (EtcdStore store = EtcdStore.open(StoreConfig.parse(node.config()));
        var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      String prefix = store.keys().handles(TestNode.NETWORK);
      Future<EtcdClient.Listing> listing =
          threads.submit(() -> store.list(prefix, Deadline.after(Duration.ofSeconds(60))));
      for (int i = 0; i < COMPACTIONS; i++) {
        etcd.etcdctl("put", "another key", "");
        etcd.compact();
      }
      int listed = listing.get().keys().size();
      assertTrue(listed >= MANY - BLOCK_SIZE, listed + " handles");
    }
  }
}
