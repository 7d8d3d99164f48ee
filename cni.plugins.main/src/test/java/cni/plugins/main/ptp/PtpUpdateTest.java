// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.ptp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.main.UpdatedAttachment;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.TrafficProbe;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Repair and update of attachments by ptp. */
@KernelTest(
    commands = {"nft"},
    reference = true)
class PtpUpdateTest {
  private static final String ROUTES = "{ \"dst\": \"0.0.0.0/0\" }, { \"dst\": \"::/0\" }";

  private final TestHost host;
  private final NetNs a;
  private final NetNs outside;
  private final UpdatedAttachment attachment;

  PtpUpdateTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    outside = host.outside();
    attachment = new UpdatedAttachment(host, a, new PtpPlugin());
    TestBed.run(outside, "ip", "route", "add", "10.60.0.0/24", "via", TestHost.HOST_V4);
    TestBed.run(outside, "ip", "route", "add", "fd60::/64", "via", TestHost.HOST_V6);
    // ADD enables it, DEL leaves it
    TestBed.run(host.netns(), "sysctl", "-qw", "net.ipv4.ip_forward=1");
    TestBed.run(host.netns(), "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1");
  }

  private static String config(String keys, String routes, int last) {
    return """
        %s "ipam": { "type": "static", "routes": [ %s ], "addresses": [
            { "address": "10.60.0.%s/24", "gateway": "10.60.0.1" },
            { "address": "fd60::%s/64", "gateway": "fd60::1" } ] }
        """
        .formatted(keys, routes, last, last);
  }

  private static String config(String keys) {
    return config(keys, ROUTES, 2);
  }

  private String veth() {
    return attachment.result().interfaces().getFirst().name();
  }

  private void requireRepairOfContainer(String finding, String command) throws Exception {
    attachment.requireRepair(finding, a, command);
    requireConnected("10.60.0.2", "fd60::2");
  }

  private void requireRepairOfHost(String finding, String command) throws Exception {
    attachment.requireRepair(finding, host.netns(), command.replace("VETH", veth()));
    requireConnected("10.60.0.2", "fd60::2");
  }

  private void requireConnected(String v4, String v6) throws IOException {
    assertTrue(Probe.ping(outside, v4), v4);
    assertTrue(Probe.ping(outside, v6), v6);
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4) && Probe.ping(a, TestHost.OUTSIDE_V6));
  }

  /** Returns the state after DEL, which leaves the tables and the base chains of ipMasq. */
  private HostSnapshot leftByDelete() throws Exception {
    for (String backend : List.of("nftables", "iptables")) {
      attachment.add(config("\"ipMasq\": true, \"ipMasqBackend\": \"" + backend + "\", "));
      attachment.delete();
    }
    return attachment.state();
  }

  @Test
  void damageInContainerIsRepaired() throws Exception {
    attachment.add(config(""));
    requireRepairOfContainer("is down", "ip link set eth0 down");
    requireRepairOfContainer("10.60.0.2/24 is missing", "ip addr del 10.60.0.2/24 dev eth0");
    requireRepairOfContainer("fd60::2/64", "ip addr del fd60::2/64 dev eth0");
    requireRepairOfContainer("is missing", "ip addr flush dev eth0 scope global");
    requireRepairOfContainer(
        "the route to 10.60.0.0/24, the network of", "ip route del 10.60.0.0/24");
    requireRepairOfContainer(
        "the route to 10.60.0.0/24, the network of",
        "ip route replace 10.60.0.0/24 dev eth0 proto kernel scope link src 10.60.0.2");
    requireRepairOfContainer(
        "direct route to fd60::/64", "ip -6 route add fd60::/64 dev eth0 proto kernel metric 256");
    requireRepairOfContainer(
        "the route to 10.60.0.1/32, the gateway of", "ip route flush dev eth0");
    requireRepairOfContainer("route ::/0 is missing", "ip -6 route del default");
    requireRepairOfContainer("the route to", "ip -6 route flush dev eth0 proto boot");
    requireRepairOfContainer(
        "is down", "ip link set eth0 down; ip addr flush dev eth0 scope global");
    attachment.delete();
  }

  @Test
  void damageOnHostIsRepaired() throws Exception {
    attachment.add(config("\"ipMasq\": true, \"ipMasqBackend\": \"nftables\", \"mtu\": 1400, "));
    requireRepairOfHost("is down", "ip link set VETH down");
    requireRepairOfHost("gateway's address 10.60.0.1", "ip addr del 10.60.0.1/32 dev VETH");
    requireRepairOfHost("gateway's address fd60::1", "ip addr del fd60::1/128 dev VETH");
    requireRepairOfHost("no route to 10.60.0.2/32", "ip route del 10.60.0.2 dev VETH");
    requireRepairOfHost("no route to fd60::2/128", "ip -6 route del fd60::2 dev VETH");
    requireRepairOfHost("has MTU 1500, expected 1400", "ip link set VETH mtu 1500");
    requireRepairOfHost("hardware address", "ip link set VETH address c2:11:22:33:44:55");
    requireRepairOfHost("net.ipv4.ip_forward is 0", "sysctl -qw net.ipv4.ip_forward=0");
    requireRepairOfHost(
        "net.ipv6.conf.all.forwarding is 0", "sysctl -qw net.ipv6.conf.all.forwarding=0");
    requireRepairOfHost("masquerade", "nft flush ruleset");
    requireRepairOfHost("masquerade", "nft flush chain inet cni_plugins_masquerade masq_checks");
    attachment.delete();
  }

  @Test
  void whatOnlyRecreationRestoresIsReported() throws Exception {
    attachment.add(config(""));
    TestBed.run(host.netns(), "ip", "link", "set", veth(), "down");
    TestBed.run(host.netns(), "ip", "link", "set", veth(), "name", "other0");
    attachment.requireUnchangeable("is other0, which prevResult does not name");
    TestBed.run(host.netns(), "ip", "link", "del", "other0");
    attachment.requireUnchangeable("interface eth0 is missing");
  }

  /**
   * Makes the host track connections, as one with a stateful rule does. Without it the first packet
   * after masquerading is enabled may be one from the container, which is then translated as if it
   * began a connection.
   */
  private void trackConnections() throws IOException {
    TestBed.run(
        host.netns(),
        "nft",
        "add table inet tracking; "
            + "add chain inet tracking seen { type filter hook forward priority 0; }; "
            + "add rule inet tracking seen ct state established accept");
  }

  @Test
  void keysAreChangedWithoutInterruption() throws Exception {
    trackConnections();
    HostSnapshot left = leftByDelete();
    String before = "";
    for (String change :
        List.of(
            "\"mtu\": 1400, ",
            "\"mtu\": 1300, \"ipMasq\": true, \"ipMasqBackend\": \"nftables\", ",
            "\"ipMasq\": true, \"ipMasqBackend\": \"iptables\", ",
            "\"dns\": { \"nameservers\": [\"192.0.2.53\"] }, ")) {
      attachment.add(config(before));
      try (var probe = TrafficProbe.start(outside, a, "10.60.0.2", "fd60::2")) {
        attachment.requireUpdate(config(change));
        probe.requireNoLoss();
      }
      attachment.requireStateOfFreshAdd(left);
      before = change;
    }
  }

  @Test
  void masqueradingTakesEffect() throws Exception {
    host.serve(outside, 7000);
    attachment.add(config(""));
    assertEquals("10.60.0.2", Probe.tcp(a, TestHost.OUTSIDE_V4, 7000).orElse("none"));
    attachment.requireUpdate(config("\"ipMasq\": true, "));
    assertEquals(TestHost.HOST_V4, Probe.tcp(a, TestHost.OUTSIDE_V4, 7000).orElse("none"));
    attachment.requireUpdate(config(""));
    assertEquals("10.60.0.2", Probe.tcp(a, TestHost.OUTSIDE_V4, 7000).orElse("none"));
    attachment.delete();
  }

  @Test
  void routesAreChangedWithoutInterruption() throws Exception {
    HostSnapshot left = attachment.state();
    attachment.add(config(""));
    try (var probe = TrafficProbe.start(outside, a, "10.60.0.2", "fd60::2")) {
      attachment.requireUpdate(config("", ROUTES + ", { \"dst\": \"198.51.100.0/24\" }", 2));
      attachment.requireUpdate(
          config("", "{ \"dst\": \"192.0.2.0/24\" }, { \"dst\": \"2001:db8::/64\" }", 2));
      probe.requireNoLoss();
    }
    attachment.requireStateOfFreshAdd(left);
  }

  @Test
  void addressesAreChanged() throws Exception {
    HostSnapshot left = leftByDelete();
    attachment.add(config("\"ipMasq\": true, \"ipMasqBackend\": \"nftables\", "));
    attachment.requireUpdate(
        config("\"ipMasq\": true, \"ipMasqBackend\": \"nftables\", ", ROUTES, 9));
    requireConnected("10.60.0.9", "fd60::9");
    attachment.requireStateOfFreshAdd(left);
  }

  @Test
  void gatewaysAndNetworksAreChanged() throws Exception {
    HostSnapshot left = attachment.state();
    attachment.add(config("", ROUTES, 2));
    String desired =
        config("", ROUTES, 9)
            .replace("10.60.0.1\"", "10.60.1.1\"")
            .replace("10.60.0.9/24", "10.60.1.9/24")
            .replace("fd60::1\"", "fd60:0:0:1::1\"")
            .replace("fd60::9", "fd60:0:0:1::9");
    attachment.requireUpdate(desired);
    attachment.requireStateOfFreshAdd(left);
    attachment.add(config("", ROUTES, 2));
    attachment.requireUpdate(
        config("", ROUTES, 2).replace("0.1\"", "0.254\"").replace("::1\"", "::fe\""));
    requireConnected("10.60.0.2", "fd60::2");
    attachment.requireStateOfFreshAdd(left);
  }

  @Test
  void invalidValuesAreRefused() throws Exception {
    attachment.add(config(""));
    requireRefused(config("\"mtu\": 1000, "), "mtu 1000 must be at least 1280");
    requireRefused(config("\"mtu\": 70000, "), "mtu 70000 must be between");
    requireRefused(
        config("", ROUTES, 9).replace(", \"gateway\": \"10.60.0.1\"", ""), "needs a gateway");
    attachment.delete();
  }

  private void requireRefused(String desired, String message) {
    CniException e = assertThrows(CniException.class, () -> attachment.update(desired).compare());
    assertEquals(7, e.code(), e::getMessage);
    assertTrue(e.getMessage().contains(message), e::getMessage);
  }
}
