// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Deadline;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.support.NetNsSession;
import cni.policy.HostPolicies;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.nio.file.Files;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Rules of policies that another program removes are restored by a process that repairs. */
@KernelTest(commands = "nft")
class PolicyAutoRepairTest {
  private static final Duration TIMEOUT = Duration.ofSeconds(60);

  private static List<String> difference(PolicyHost policies) throws CniException {
    try (NetNsSession session = policies.session()) {
      return new HostPolicies(policies.directories(), session, Deadline.none()).difference();
    }
  }

  private static void awaitRepair(PolicyHost policies) throws Exception {
    long end = System.nanoTime() + TIMEOUT.toNanos();
    while (!difference(policies).isEmpty()) {
      assertTrue(System.nanoTime() < end, "the rules are not restored");
      Thread.sleep(50);
    }
  }

  @Test
  void flushedRulesAreRestored(TestHost host) throws Exception {
    NetNs web = host.container("web");
    NetNs db = host.container("db");
    try (var policies = new PolicyHost(host);
        Cni cni = host.builder().repair().build()) {
      policies.network("n", TestHost.DUAL_STACK.formatted(""));
      Files.writeString(
          policies.directories().policies().resolve("db.json"),
          """
          { "name": "db", "podSelector": { "matchLabels": { "app": "db" } },
            "policyTypes": ["Ingress"] }
          """);
      cni.network("n").add(PolicyHost.labelled(web, "app=web"));
      cni.network("n").add(PolicyHost.labelled(db, "app=db"));
      host.awaitAddresses();
      assertFalse(Probe.ping(web, "10.50.0.3"));
      for (String damage :
          List.of(
              "flush ruleset",
              "delete table bridge cni_policy",
              "flush chain inet cni_policy forward",
              "flush map inet cni_policy ingress4")) {
        TestBed.run(host.netns(), ("nft " + damage).split(" ", -1));
        awaitRepair(policies);
        assertFalse(Probe.ping(web, "10.50.0.3"), damage);
      }
    }
  }
}
