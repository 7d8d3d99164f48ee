// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The policy plugin in a chain: what reaches a container, and what is left when it is gone. */
@KernelTest(commands = "nft")
class PolicyTest {
  @Test
  void policyIsInForce(TestHost host) throws Exception {
    try (var policies = new PolicyHost(host)) {
      NetNs web = host.container("web");
      NetNs db = host.container("db");
      NetNs other = host.container("other");
      policies.network("n", TestHost.DUAL_STACK.formatted(""));
      var network = policies.cni().network("n");
      network.add(PolicyHost.labelled(web, "app=web"));
      network.add(PolicyHost.labelled(db, "app=db"));
      network.add(PolicyHost.labelled(other, "app=other"));
      host.awaitAddresses();
      host.serve(db, 5432);
      host.serve(db, 80);
      for (String address : new String[] {"10.50.0.3", "fd50::3"}) {
        assertTrue(Probe.tcp(other, address, 5432).isPresent());
      }
      policies.apply(
          "db.json",
          """
          { "name": "db", "podSelector": { "matchLabels": { "app": "db" } },
            "policyTypes": ["Ingress"],
            "ingress": [ { "from": [ { "podSelector": { "matchLabels": { "app": "web" } } } ],
                           "ports": [ { "protocol": "TCP", "port": 5432 } ] } ] }
          """);
      for (String address : new String[] {"10.50.0.3", "fd50::3"}) {
        assertTrue(Probe.tcp(web, address, 5432).isPresent(), address);
        assertEquals(Optional.empty(), Probe.tcp(web, address, 80));
        assertEquals(Optional.empty(), Probe.tcp(other, address, 5432));
        assertFalse(Probe.ping(other, address));
      }
      assertTrue(Probe.ping(db, "10.50.0.4"));
      network.check(PolicyHost.labelled(db, "app=db"));
      for (NetNs container : new NetNs[] {web, db, other}) {
        network.delete(TestHost.attachment(container));
      }
      network.gc(Set.of());
      assertEquals("", TestBed.run(host.netns(), "nft", "list", "ruleset"));
    }
  }
}
