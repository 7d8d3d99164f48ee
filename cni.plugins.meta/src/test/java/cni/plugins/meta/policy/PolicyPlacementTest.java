// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.RequiresDevice;
import cni.testing.RequiresDevice.Device;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.net.InetAddress;
import java.nio.file.Files;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Policies beside other plugins of a chain, and what they refuse to be chained to. */
class PolicyPlacementTest {
  private static final String PORTMAP =
      """
      { "type": "portmap", %s "capabilities": { "portMappings": true } }
      """;
  private static final String MAPPINGS =
      """
      { "of": [ { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
                { "hostPort": 8053, "containerPort": 53, "protocol": "udp" } ] }
      """;
  private static final String STATIC =
      """
      "ipam": { "type": "static", "addresses": [ { "address": "198.51.100.9/24" } ] }
      """;

  private static Attachment published(NetNs container, String labels) throws Exception {
    Attachment labelled = PolicyHost.labelled(container, labels);
    Map<String, JsonNode> capabilities = new HashMap<>(labelled.capabilityArgs());
    capabilities.put("portMappings", Json.parse(MAPPINGS, "ports").get("of"));
    return labelled.withCapabilityArgs(capabilities);
  }

  private static String from(String v4, String v6) {
    return """
        { "name": "web", "podSelector": { "matchLabels": { "app": "web" } },
          "ingress": [ { "from": [ { "ipBlock": { "cidr": "%s" } },
                                   { "ipBlock": { "cidr": "%s" } } ] } ] }
        """
        .formatted(v4, v6);
  }

  /** A published port is subject to the policy by the client's real address. */
  private static void requirePolicyOfPublishedPorts(
      TestHost host, PolicyHost policies, Network network) throws Exception {
    NetNs outside = host.outside();
    NetNs web = host.container("web");
    NetNs other = host.container("other");
    network.add(published(web, "app=web"));
    network.add(PolicyHost.labelled(other, "app=other"));
    host.awaitAddresses();
    host.serve(web, 80);
    host.serve(web, 53);
    Map<String, String> clients =
        Map.of(TestHost.HOST_V4, TestHost.OUTSIDE_V4, TestHost.HOST_V6, TestHost.OUTSIDE_V6);
    for (Map.Entry<String, String> each : clients.entrySet()) {
      assertClient(each.getValue(), Probe.tcp(outside, each.getKey(), 8080));
      assertClient(each.getValue(), Probe.udp(outside, each.getKey(), 8053));
    }
    policies.apply("web.json", from("192.0.2.128/25", "2001:db8::80/121"));
    for (String address : clients.keySet()) {
      assertEquals(Optional.empty(), Probe.tcp(outside, address, 8080));
      assertEquals(Optional.empty(), Probe.udp(outside, address, 8053));
    }
    assertFalse(Probe.ping(other, "10.50.0.2"));
    assertFalse(Probe.ping(other, "fd50::2"));
    assertTrue(Probe.ping(host.netns(), "10.50.0.2"), "the host reaches every container");
    assertTrue(Probe.ping(host.netns(), "fd50::2"), "the host reaches every container");
    policies.apply("web.json", from("192.0.2.2/32", "2001:db8::2/128"));
    for (Map.Entry<String, String> each : clients.entrySet()) {
      assertClient(each.getValue(), Probe.tcp(outside, each.getKey(), 8080));
      assertClient(each.getValue(), Probe.udp(outside, each.getKey(), 8053));
    }
    network.delete(published(web, "app=web"));
    network.delete(TestHost.attachment(other));
    network.gc(Set.of());
    assertFalse(
        TestBed.run(host.netns(), "nft", "list", "tables").contains("cni_policy"),
        "a table is left");
  }

  private static void assertClient(String expected, Optional<String> seen) {
    assertTrue(seen.isPresent(), "no reply");
    assertTrue(isSame(expected, seen.get()), "the server sees " + seen + ": " + expected);
  }

  /** Addresses as text may be written in several ways. */
  private static boolean isSame(String expected, String seen) {
    return InetAddress.ofLiteral(expected)
        .equals(InetAddress.ofLiteral(seen.replaceAll("%.*", "")));
  }

  @KernelTest(commands = "nft")
  @Test
  void publishedPortsBesidePortmapAndFirewall(TestHost host) throws Exception {
    try (var policies = new PolicyHost(host)) {
      policies.network(
          "n",
          TestHost.DUAL_STACK.formatted(""),
          PORTMAP.formatted("\"backend\": \"nftables\","),
          "{ \"type\": \"firewall\" }");
      requirePolicyOfPublishedPorts(host, policies, policies.cni().network("n"));
    }
  }

  @KernelTest(
      commands = {"nft", "iptables"},
      reference = true)
  @Test
  void publishedPortsBesideTheReferencePlugins(TestHost host) throws Exception {
    try (var policies = new PolicyHost(host);
        Cni cni = host.withReference("bridge", "host-local", "portmap", "firewall")) {
      policies.network(
          "n",
          TestHost.DUAL_STACK.formatted(""),
          PORTMAP.formatted(""),
          "{ \"type\": \"firewall\", \"backend\": \"iptables\" }");
      requirePolicyOfPublishedPorts(host, policies, cni.network("n"));
    }
  }

  private static final String FROM_WEB =
      """
      { "name": "db", "podSelector": { "matchLabels": { "app": "db" } },
        "ingress": [ { "from": [ { "podSelector": { "matchLabels": { "app": "web" } } } ] } ] }
      """;

  /** Attaches web, which is returned, db and another container, of which db accepts web alone. */
  private static NetNs requirePolicyBetweenContainers(
      TestHost host, PolicyHost policies, Network network, String... addresses) throws Exception {
    Files.writeString(policies.directories().policies().resolve("db.json"), FROM_WEB);
    NetNs web = host.container("web");
    NetNs db = host.container("db");
    NetNs other = host.container("other");
    network.add(PolicyHost.labelled(web, "app=web"));
    network.add(PolicyHost.labelled(db, "app=db"));
    network.add(PolicyHost.labelled(other, "app=other"));
    host.awaitAddresses();
    for (String address : addresses) {
      assertTrue(Probe.ping(web, address), address);
      assertFalse(Probe.ping(other, address), address);
      assertTrue(Probe.ping(host.netns(), address), address);
    }
    network.check(PolicyHost.labelled(db, "app=db"));
    return web;
  }

  @KernelTest(
      commands = {"nft", "iptables"},
      reference = true)
  @Test
  void containersOfTheReferencePtp(TestHost host) throws Exception {
    try (var policies = new PolicyHost(host);
        Cni cni = host.withReference("ptp", "host-local")) {
      policies.network(
          "n",
          """
          { "type": "ptp",
            "ipam": { "type": "host-local", "dataDir": "@DATA@",
                      "ranges": [[{ "subnet": "10.70.0.0/24" }], [{ "subnet": "fd70::/64" }]],
                      "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }] } }
          """);
      var _ =
          requirePolicyBetweenContainers(host, policies, cni.network("n"), "10.70.0.3", "fd70::3");
    }
  }

  /** A packet passes if the rules of both accept it. */
  @KernelTest(commands = {"nft", "iptables-legacy"})
  @Test
  void rulesOfLegacyIptablesApplyAsWell(TestHost host) throws Exception {
    var missing = TestBed.tryRun(host.netns(), "iptables-legacy", "-P", "FORWARD", "DROP");
    assumeTrue(missing.status() == 0, "the kernel has no legacy iptables");
    try (var policies = new PolicyHost(host)) {
      policies.network("n", TestHost.DUAL_STACK.formatted(""));
      legacy(host, "-A FORWARD -s 10.50.0.0/24 -d 10.50.0.0/24 -j ACCEPT");
      NetNs web =
          requirePolicyBetweenContainers(
              host, policies, policies.cni().network("n"), "10.50.0.3", "fd50::3");
      legacy(host, "-I FORWARD -s 10.50.0.2 -j DROP");
      assertFalse(Probe.ping(web, "10.50.0.3"), "a rule of iptables has no effect");
      assertTrue(Probe.ping(web, "fd50::3"));
      legacy(host, "-D FORWARD -s 10.50.0.2 -j DROP");
      policies.apply("db.json", FROM_WEB.replace("web", "nobody"));
      assertFalse(Probe.ping(web, "10.50.0.3"), "what iptables accepts evades the policy");
    }
  }

  private static void legacy(TestHost host, String rule) throws Exception {
    TestBed.run(host.netns(), ("iptables-legacy " + rule).split(" ", -1));
  }

  /** Requires that ADD is refused with a reason, and leaves nothing that DEL does not remove. */
  private static void requireRefusal(TestHost host, String main, String reason) throws Exception {
    try (var policies = new PolicyHost(host)) {
      policies.network("refused", main);
      NetNs container = host.container("refused");
      Network network = policies.cni().network("refused");
      Attachment attachment = PolicyHost.labelled(container, "app=web");
      CniException refusal = assertThrows(CniException.class, () -> network.add(attachment));
      assertEquals(ErrorCode.INVALID_CONFIG.value(), refusal.code());
      assertTrue(refusal.getMessage().contains("policies cannot be enforced"), refusal::getMessage);
      assertTrue(refusal.getMessage().contains(reason), refusal::getMessage);
      network.delete(attachment);
      assertEquals(
          "lo",
          TestBed.run(container, "ip", "-o", "link").replaceAll("(?s)^1: (\\w+):.*\\n$", "$1"));
      assertEquals("", TestBed.run(host.netns(), "nft", "list", "ruleset"));
    }
  }

  @KernelTest(commands = "nft")
  @Test
  void macvlanIsRefused(TestHost host) throws Exception {
    var _ = host.outside();
    requireRefusal(
        host,
        "{ \"type\": \"macvlan\", \"master\": \"up0\", " + STATIC + " }",
        "eth0 is a macvlan: its packets do not pass the host's rules; use bridge or ptp");
  }

  @KernelTest(commands = "nft")
  @Test
  void hostDeviceIsRefused(TestHost host) throws Exception {
    var _ = host.outside();
    NetNs far = host.container("far");
    // The index of its other end, in the third namespace, is that of the host's veth up0.
    TestBed.connect(host.netns(), "dev0", far, "dev1");
    requireRefusal(
        host,
        "{ \"type\": \"host-device\", \"device\": \"dev0\", " + STATIC + " }",
        "eth0 is a veth: its packets do not pass the host's rules; use bridge or ptp");
  }

  @KernelTest(commands = "nft")
  @RequiresDevice(Device.IPVLAN)
  @Test
  void ipvlanIsRefused(TestHost host) throws Exception {
    var _ = host.outside();
    requireRefusal(
        host,
        "{ \"type\": \"ipvlan\", \"master\": \"up0\", " + STATIC + " }",
        "eth0 is a ipvlan: its packets do not pass the host's rules; use bridge or ptp");
  }

  @KernelTest(commands = "nft")
  @RequiresDevice(Device.DUMMY)
  @Test
  void dummyIsRefused(TestHost host) throws Exception {
    requireRefusal(
        host,
        "{ \"type\": \"dummy\", " + STATIC + " }",
        "eth0 is a dummy: its packets do not pass the host's rules; use bridge or ptp");
  }

  @KernelTest(commands = "nft")
  @RequiresDevice(Device.VLAN_FILTERING)
  @Test
  void aBridgeWithVlansIsRefused(TestHost host) throws Exception {
    requireRefusal(
        host,
        "{ \"type\": \"bridge\", \"bridge\": \"br7\", \"vlan\": 7, " + STATIC + " }",
        "bridge br7 separates VLANs: policies do not distinguish their addresses");
  }

  /** The container's own view: what it sends to the host is egress, replies are not. */
  @KernelTest(commands = "nft")
  @Test
  void theHostReachesContainersButNotTheOtherWay(TestHost host) throws Exception {
    try (var policies = new PolicyHost(host)) {
      policies.network("n", TestHost.DUAL_STACK.formatted(""));
      NetNs web = host.container("web");
      var network = policies.cni().network("n");
      network.add(PolicyHost.labelled(web, "app=web"));
      host.awaitAddresses();
      host.serve(web, 80);
      host.serve(host.netns(), 81);
      policies.apply(
          "web.json",
          """
          { "name": "web", "podSelector": {}, "policyTypes": ["Ingress", "Egress"] }
          """);
      for (String version : new String[] {"10.50.0.", "fd50::"}) {
        assertTrue(Probe.tcp(host.netns(), version + "2", 80).isPresent());
        assertTrue(Probe.ping(host.netns(), version + "2"));
        assertEquals(Optional.empty(), Probe.tcp(web, version + "1", 81));
        assertFalse(Probe.ping(web, version + "1"));
      }
      policies.delete("web.json");
      for (String version : new String[] {"10.50.0.", "fd50::"}) {
        assertTrue(Probe.tcp(web, version + "1", 81).isPresent());
      }
    }
  }
}
