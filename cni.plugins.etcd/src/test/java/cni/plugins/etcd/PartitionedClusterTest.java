// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@RequiresEtcd(commands = "curl")
@KernelTest(commands = "nft")
@Timeout(240)
class PartitionedClusterTest {
  private static Etcdctl.Output read(EtcdCluster cluster, EtcdMember member, String consistency)
      throws Exception {
    return cluster.tryEtcdctl(
        member, "get", "a", "--consistency=" + consistency, "--command-timeout=2s");
  }

  @Test
  void isolatedMemberServesNoLinearizableRead(TestBed bed) throws Exception {
    try (var partitioned = new PartitionedCluster(bed, EtcdClusterOptions.members(3))) {
      EtcdCluster cluster = partitioned.cluster();
      cluster.etcdctl("put", "a", "old");
      EtcdMember leader = cluster.leader();
      int index = cluster.members().indexOf(leader);
      partitioned.isolate(index);
      cluster.awaitHealthy();
      assertNotSame(leader, cluster.leader());
      cluster.etcdctl("put", "a", "new");

      Etcdctl.Output linearizable = read(cluster, leader, "l");
      assertNotEquals(0, linearizable.status(), linearizable.toString());
      Etcdctl.Output serializable = read(cluster, leader, "s");
      assertTrue(serializable.output().contains("old"), serializable.toString());

      partitioned.heal(index);
      cluster.awaitHealthy();
      assertTrue(read(cluster, leader, "l").output().contains("new"));
    }
  }

  @Test
  void partitionedMemberIsNotReachable(TestBed bed) throws Exception {
    try (var partitioned = new PartitionedCluster(bed, EtcdClusterOptions.members(3))) {
      EtcdCluster cluster = partitioned.cluster();
      EtcdMember leader = cluster.leader();
      int index = cluster.members().indexOf(leader);
      partitioned.partition(index);
      cluster.awaitHealthy();
      cluster.etcdctl("put", "a", "1");
      assertNotEquals(0, read(cluster, leader, "s").status());
      partitioned.heal(index);
      cluster.awaitHealthy();
      assertTrue(read(cluster, leader, "l").output().contains("1"));
    }
  }

  @Test
  void clientCommandReachesTheMembers(TestBed bed) throws Exception {
    try (var partitioned = new PartitionedCluster(bed, EtcdClusterOptions.members(3))) {
      for (String endpoint : partitioned.cluster().endpoints()) {
        List<String> command = new ArrayList<>(partitioned.clientCommand());
        command.addAll(List.of("curl", "-sS", "-m", "10", endpoint + "/health"));
        Process curl = new ProcessBuilder(command).redirectErrorStream(true).start();
        String text =
            new String(curl.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        assertEquals("{\"health\":\"true\"}", text);
      }
    }
  }
}
