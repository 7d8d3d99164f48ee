// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.InetAddresses;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Containers of two hosts in one network, whose addresses are in etcd. */
@KernelTest
@RequiresEtcd
class ClusterNetworkTest {
  @RegisterExtension private static final SharedEtcd etcd = SharedEtcd.of(3);

  private static void network(TestHost host, String node, String plugin) throws IOException {
    host.network(
        "n",
        "1.1.0",
        """
        { %s, "ipam": { "type": "etcd", "endpoints": ["%s"], "prefix": "/network", "node": "%s",
                        "dataDir": "%s", "gcGrace": 0,
                        "ranges": [[{ "subnet": "10.60.0.0/16" }], [{ "subnet": "fd60::/64" }]] } }
        """
            .formatted(
                plugin,
                String.join("\", \"", etcd.endpoints()),
                node,
                host.directory().resolve("etcd")));
  }

  private static List<String> addresses(Result result) {
    return result.ips().stream().map(ip -> InetAddresses.format(ip.address().address())).toList();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"type\": \"macvlan\", \"master\": \"seg0\"",
        "\"type\": \"bridge\", \"bridge\": \"br0\", \"isGateway\": false"
      })
  void containersOfTwoHostsReachEachOther(String plugin, TestHost one, TestHost two)
      throws Exception {
    NetNs segment = one.namespace("segment");
    TestBed.run(segment, "ip", "link", "add", "sw0", "type", "bridge");
    TestBed.run(segment, "ip", "link", "set", "sw0", "up");
    join(one, segment, "p1", plugin);
    join(two, segment, "p2", plugin);
    network(one, "one", plugin);
    network(two, "two", plugin);
    NetNs a = one.container("a");
    NetNs b = two.container("b");
    Cni first = one.openCni();
    Cni second = two.openCni();
    List<String> ofA = addresses(first.network("n").add(attachment(a)));
    List<String> ofB = addresses(second.network("n").add(attachment(b)));
    TestHost.awaitAddresses(a);
    TestHost.awaitAddresses(b);
    for (int i = 0; i < 2; i++) {
      assertTrue(Probe.ping(a, ofB.get(i)), ofB.get(i));
      assertTrue(Probe.ping(b, ofA.get(i)), ofA.get(i));
    }
    first.network("n").check(attachment(a));
    second.network("n").check(attachment(b));
    first.network("n").gc(Set.of());
    second.network("n").check(attachment(b));
    second.network("n").delete(attachment(b));
    assertEquals(List.of(), etcd.keys("/network/blocks/"));
    assertEquals(List.of(), etcd.keys("/network/claims/"));
    assertEquals(List.of(), etcd.keys("/network/handles/"));
  }

  /** Connects a host to the segment: by a device, or by a port of the network's bridge. */
  private static void join(TestHost host, NetNs segment, String port, String plugin)
      throws IOException {
    TestBed.connect(host.netns(), "seg0", segment, port);
    TestBed.run(segment, "ip", "link", "set", port, "master", "sw0");
    if (plugin.contains("bridge")) {
      TestBed.run(host.netns(), "ip", "link", "add", "br0", "type", "bridge");
      TestBed.run(host.netns(), "ip", "link", "set", "br0", "up");
      TestBed.run(host.netns(), "ip", "link", "set", "seg0", "master", "br0");
    }
  }

  @Test
  void repairRecordsAMissingAddressAgainAndValidateAcceptsTheConfiguration(TestHost host)
      throws Exception {
    network(host, "one", "\"type\": \"bridge\", \"bridge\": \"br0\", \"isGateway\": true");
    NetNs a = host.container("a");
    Cni cni = host.openCni();
    Network network = cni.network("n");
    assertEquals(List.of(), network.validate().problems(), () -> network.validate().toString());
    network.status();
    List<String> addresses = addresses(network.add(attachment(a)));
    assertEquals(1, network.addresses().reports().getFirst().report().holders().size());
    for (String prefix : List.of("handles", "blocks", "claims")) {
      etcd.etcdctl("del", "--prefix", "/network/" + prefix + "/");
    }
    assertEquals(1, network.repair(attachment(a).id()).steps().size());
    network.check(attachment(a));
    assertTrue(etcd.etcdctl("get", "--prefix", "/network/handles/").contains(addresses.getFirst()));
    network.delete(attachment(a));
  }
}
