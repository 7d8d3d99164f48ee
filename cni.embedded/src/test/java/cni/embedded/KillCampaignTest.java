// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.embedded.KilledRuntime.KillPoint;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.Campaign;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/**
 * A runtime that is killed at any system call of an ADD or a DEL leaves nothing that DEL and GC of
 * another process do not remove. With {@code cni.test.campaign.seconds} every call is tried for
 * that time, otherwise a random selection for 20 s.
 */
@KernelTest(commands = "strace")
class KillCampaignTest {
  private static final Duration USUAL = Duration.ofSeconds(20);

  private final TestHost host;
  private final NetNs container;

  KillCampaignTest(TestHost host) throws IOException {
    this.host = host;
    container = host.container("a");
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted("\"ipMasq\": true, \"ipMasqBackend\": \"nftables\","),
        "{ \"type\": \"portmap\", \"backend\": \"nftables\", \"snat\": true,"
            + " \"capabilities\": { \"portMappings\": true } }");
  }

  @Test
  void whatAKilledRuntimeLeavesIsRemovedByDelAndGc() throws Exception {
    var runtime = new KilledRuntime(host, container, "ADD", "DEL");
    List<KillPoint> points = runtime.learn();
    Campaign campaign = Campaign.start("kills", USUAL);
    Collections.shuffle(points, campaign.random());
    List<String> faults = new ArrayList<>();
    int kills = 0;
    int effective = 0;
    try (Cni cni = host.openCni()) {
      Network network = cni.network("n");
      Set<String> nothing = HostState.of(host, container);
      for (KillPoint point : points) {
        if (effective > 0 && !campaign.goesOn()) {
          break;
        }
        boolean killed = runtime.killAt(point);
        kills += killed ? 1 : 0;
        effective += killed && !HostState.of(host, container).equals(nothing) ? 1 : 0;
        network.delete(attachment(container));
        network.gc(Set.of());
        String difference = HostState.difference(nothing, HostState.of(host, container));
        if (!difference.isEmpty()) {
          faults.add("killed at " + point + ": " + difference);
          nothing = HostState.of(host, container);
        }
      }
    }
    assertTrue(effective > 0, "none of " + kills + " kills left anything");
    assertEquals(List.of(), faults, faults.size() + " faults after " + kills + " kills");
  }
}
