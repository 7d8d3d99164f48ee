// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A load of hosts while the network between members, or to clients, is cut. */
@RequiresEtcd
@KernelTest(commands = "nft")
@Timeout(180)
class PartitionTest {
  private static final Duration LOAD = Duration.ofSeconds(16);
  private static final Duration TIMEOUT = Duration.ofSeconds(60);

  /** For which time a member is cut off: an election takes about a second. */
  private static final Duration CUT = Duration.ofSeconds(4);

  @TempDir private Path directory;

  /** What is cut. */
  enum Cut {
    /** The member from all others and from clients. */
    PARTITION {
      @Override
      void apply(PartitionedCluster network, int member) throws Exception {
        network.partition(member);
      }
    },
    /** The member from the other members; clients reach it. */
    ISOLATION {
      @Override
      void apply(PartitionedCluster network, int member) throws Exception {
        network.isolate(member);
      }
    };

    abstract void apply(PartitionedCluster network, int member) throws Exception;
  }

  @ParameterizedTest
  @EnumSource
  void addressesAreConsistentDuring(Cut cut, TestBed bed) throws Exception {
    Path log = directory.resolve("log");
    Path output = directory.resolve("output");
    Path states = Files.createDirectory(directory.resolve("nodes"));
    try (var network = new PartitionedCluster(bed, EtcdClusterOptions.members(3).in(directory))) {
      EtcdCluster etcd = network.cluster();
      String[] nodes = {"a", "b", "c", "d", "e", "f", "g", "h"};
      ServerProcess client =
          AllocationClient.start(
              network.clientCommand(), etcd.endpoints(), states, log, output, "c", LOAD, nodes);
      try {
        long end = System.nanoTime() + LOAD.toNanos();
        for (int cuts = 0; System.nanoTime() - end < 0; cuts++) {
          strike(network, cut, cuts % 2 == 0);
        }
        Thread.sleep(1000); // packets on their way arrive before GC
        Files.createFile(AllocationClient.go(states));
        AllocationClient.awaitEnd(client, TIMEOUT);
      } finally {
        client.kill();
      }
      String text = Files.readString(output);
      assertTrue(text.contains(AllocationClient.COLLECTED), text);
      try (var campaign = new AllocationCampaign(List.of(), states, new ClientLog())) {
        campaign.log().addFiles(List.of(log));
        System.out.println(cut + ": " + campaign.summary());
        campaign.assertOnlyLiveHandles(etcd);
        campaign.assertNoViolations(new EtcdEvents(etcd, TestNode.PREFIX));
      }
    }
  }

  /** Cuts off the leader or a follower, and heals that. */
  private static void strike(PartitionedCluster network, Cut cut, boolean isLeader)
      throws Exception {
    EtcdCluster etcd = network.cluster();
    int leader = etcd.members().indexOf(etcd.leader());
    int member = isLeader ? leader : (leader + 1) % etcd.members().size();
    Thread.sleep(ThreadLocalRandom.current().nextInt(1000));
    cut.apply(network, member);
    try {
      Thread.sleep(ThreadLocalRandom.current().nextInt((int) CUT.toMillis()));
    } finally {
      network.heal(member);
    }
    etcd.awaitHealthy();
  }
}
