// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.plugins.etcd.ClientLog.Outcome;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Many hosts that add and delete containers at the same time. */
@RequiresEtcd
@Timeout(240)
class ClusterAllocationTest {
  private static final int HOSTS = 128;
  private static final int ADDS = 16;
  private static final Duration BOUND = Duration.ofSeconds(90);

  @TempDir private Path directory;

  @Test
  void manyHostsAddAndDeleteAtOnce() throws Exception {
    try (EtcdCluster etcd = EtcdCluster.start(EtcdClusterOptions.members(3).in(directory));
        var campaign =
            new AllocationCampaign(etcd.endpoints(), directory, new ClientLog())
                .withNodes("h", HOSTS, "\"gcGrace\":0,\"timeout\":60," + TestNode.DUAL_STACK)) {
      List<Callable<Void>> adds = new ArrayList<>();
      for (LoggedNode node : campaign.nodes()) {
        for (int i = 0; i < ADDS; i++) {
          String container = "c" + i;
          adds.add(
              () -> {
                assertEquals(Outcome.SUCCESS, node.add(container));
                return null;
              });
        }
      }
      measure("ADD", adds.size(), () -> AllocationCampaign.runAll(adds));
      campaign.assertOnlyLiveHandles(etcd);
      assertEquals(
          HOSTS * ADDS,
          AllocationCampaign.live(campaign.log()).values().stream()
              .flatMap(List::stream)
              .filter(it -> it.contains("."))
              .distinct()
              .count());
      measure("DEL", adds.size(), campaign::deleteAll);
      AllocationCampaign.assertNoAddresses(etcd);
      campaign.assertNoViolations(new EtcdEvents(etcd, TestNode.PREFIX));
    }
  }

  private interface Load {
    void run() throws Exception;
  }

  private static void measure(String name, int calls, Load load) throws Exception {
    long start = System.nanoTime();
    load.run();
    Duration time = Duration.ofNanos(System.nanoTime() - start);
    System.out.printf(
        "%d concurrent %s of %d hosts: %.1f s, %.0f/s%n",
        calls, name, HOSTS, time.toMillis() / 1e3, calls * 1e3 / time.toMillis());
    assertTrue(time.compareTo(BOUND) < 0, time::toString);
  }
}
