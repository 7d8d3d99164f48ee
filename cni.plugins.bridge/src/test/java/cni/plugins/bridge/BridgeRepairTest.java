// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.TrafficProbe;
import cni.testing.UpdateTester;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is damaged is restored, and nothing else is touched. */
@KernelTest(commands = {"nft", "bridge", "tc"})
class BridgeRepairTest {
  private static final String OPTIONS =
      """
      "ipMasq": true, "ipMasqBackend": "nftables", "macspoofchk": true,
      "hairpinMode": true, "portIsolation": true, "mtu": 1400,
      """;

  private final TestHost host;
  private final NetNs a;
  private final UpdatedBridge attachment;

  BridgeRepairTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    attachment = new UpdatedBridge(host, a);
  }

  private void damage(String where, String commands) throws IOException {
    for (String command : commands.split(" && ", -1)) {
      String text = command.replace("VETH", attachment.port());
      TestBed.run(where.equals("c") ? a : host.netns(), text.split(" ", -1));
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "c|ip addr del 10.50.0.2/24 dev eth0|address 10.50.0.2/24 is missing from interface eth0",
        "c|ip addr del fd50::2/64 dev eth0|address fd50::2/64 is missing from interface eth0",
        "c|sysctl -w net.ipv6.conf.eth0.disable_ipv6=1|address fd50::2/64 is missing",
        "c|ip route del default|route 0.0.0.0/0 via 10.50.0.1 is missing",
        "c|ip -6 route del default|route ::/0 via fd50::1 is missing",
        "c|ip route del 10.50.0.0/24|the route to 10.50.0.0/24",
        "c|ip -6 route del fd50::/64|the route to fd50::/64",
        "c|ip link set eth0 down|interface eth0 in the container",
        "c|ip link set eth0 address 02:00:00:00:00:99|has hardware address 02:00:00:00:00:99",
        "h|ip link set VETH nomaster|is not a port of bridge br0",
        "h|ip link set VETH down|in the host is down",
        "h|ip link set VETH mtu 1300|has MTU 1300, expected 1400",
        "h|ip link set VETH address 02:00:00:00:00:99|has hardware address 02:00:00:00:00:99",
        "h|ip link set VETH type bridge_slave hairpin off|has hairpin mode off and isolation on",
        "h|ip link set VETH type bridge_slave isolated off|has hairpin mode on and isolation off",
        "h|ip link set br0 down|interface br0 in the host is down",
        "h|ip link set br0 promisc on|promiscuous mode on",
        "h|ip link del br0|interface br0 is missing from the host",
        "h|ip addr del 10.50.0.1/24 dev br0|does not have the gateway's address 10.50.0.1/24",
        "h|ip addr flush dev br0 scope global|does not have the gateway's address fd50::1/64",
        "h|sysctl -w net.ipv4.ip_forward=0|net.ipv4.ip_forward is 0",
        "h|sysctl -w net.ipv6.conf.all.forwarding=0|net.ipv6.conf.all.forwarding is 0",
        "h|nft flush ruleset|are not masqueraded",
        "h|nft flush chain inet cni_plugins_masquerade postrouting|are not masqueraded",
        "h|nft delete table bridge nat|are not dropped (macspoofchk)",
        "h|ip link add br9 type bridge && ip link set VETH master br9|is a port of interface",
      })
  void damageIsFoundUndoneAndRestored(String where, String command, String part) throws Exception {
    host.outside();
    attachment.add(UpdatedBridge.dualStack(OPTIONS));
    assertTrue(Probe.ping(a, "10.50.0.1") && Probe.ping(a, "fd50::1"));
    HostSnapshot whole = attachment.snapshot();
    damage(where, command);
    UpdateTester repair = attachment.repair();
    String found = repair.check().orElse("nothing");
    assertTrue(found.contains(part), found);
    repair.requireUndo();
    attachment.repairAll();
    attachment.check();
    String restored = attachment.snapshot().diff(whole);
    assertEquals("", withoutAllowed(restored), restored);
    for (String address : List.of("10.50.0.1", "fd50::1", TestHost.OUTSIDE_V4)) {
      assertTrue(isReachable(address), address);
    }
  }

  /** The other side may have to find out first that it knows an old hardware address. */
  private boolean isReachable(String address) throws IOException {
    boolean reached = false;
    for (int i = 0; i < 5 && !reached; i++) {
      reached = Probe.ping(a, address);
    }
    return reached;
  }

  /** Leaves out what the damage has added, and what the kernel adds to interfaces that go up. */
  private static String withoutAllowed(String diff) {
    List<String> lines = new ArrayList<>();
    diff.lines()
        .filter(line -> !line.contains("br9") && !line.contains("temporary"))
        .forEach(lines::add);
    return String.join("\n", lines);
  }

  @Test
  void iptablesRulesAreRestored() throws Exception {
    host.outside();
    attachment.add(UpdatedBridge.dualStack("\"ipMasq\": true, \"ipMasqBackend\": \"iptables\","));
    HostSnapshot whole = attachment.snapshot();
    for (String damage :
        List.of(
            "nft flush ruleset", "nft flush chain ip nat POSTROUTING", "nft flush table ip6 nat")) {
      damage("h", damage);
      attachment.repair().requireUndo();
      attachment.repairAll();
      attachment.snapshot().requireEqual(whole);
    }
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4) && Probe.ping(a, TestHost.OUTSIDE_V6));
  }

  @Test
  void missingInterfaceCannotBeRestored() throws Exception {
    attachment.add(UpdatedBridge.dualStack(""));
    TestBed.run(a, "ip", "link", "del", "eth0");
    UpdateTester repair = attachment.repair();
    assertTrue(repair.check().orElse("").contains("interface eth0 is missing from the container"));
    try {
      repair.apply();
    } catch (AssertionError e) {
      assertTrue(String.valueOf(e.getMessage()).contains("eth0 is missing"), e::getMessage);
      return;
    }
    throw new AssertionError("the interface was restored");
  }

  @Test
  void trafficOfOthersSurvivesEachRepair() throws Exception {
    attachment.add(UpdatedBridge.dualStack("\"ipMasq\": true,"));
    NetNs b = host.container("b");
    var other = new UpdatedBridge(host, b);
    other.add(UpdatedBridge.dualStack("\"ipMasq\": true,"));
    host.awaitAddresses();
    try (var probe = TrafficProbe.start(host.netns(), b, "10.50.0.3", "fd50::3")) {
      for (String damage :
          List.of(
              "c ip addr flush dev eth0",
              "c ip route del default",
              "h ip link set VETH nomaster",
              "h ip link set VETH down",
              "h nft flush ruleset")) {
        damage(damage.substring(0, 1), damage.substring(2));
        attachment.repairAll();
      }
      probe.requireNoLoss();
    }
    assertTrue(Probe.ping(a, "10.50.0.1") && Probe.ping(a, "fd50::1"));
    other.repairAll();
    other.check();
  }

  @Test
  void trafficOfTheAttachmentSurvivesRepair() throws Exception {
    attachment.add(UpdatedBridge.dualStack("\"ipMasq\": true, \"hairpinMode\": true,"));
    host.awaitAddresses();
    try (var probe = TrafficProbe.start(host.netns(), a, "10.50.0.2", "fd50::2")) {
      for (String damage :
          List.of(
              "c ip route del default",
              "h ip link set VETH type bridge_slave hairpin off",
              "h sysctl -w net.ipv4.ip_forward=0",
              "h nft flush ruleset")) {
        damage(damage.substring(0, 1), damage.substring(2));
        attachment.repairAll();
      }
      probe.requireNoLoss();
    }
  }

  @Test
  void manyAttachmentsRepairADeletedBridgeAtOnce() throws Exception {
    List<UpdatedBridge> attachments = new ArrayList<>();
    List<NetNs> containers = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      containers.add(host.container("c" + i));
      attachments.add(new UpdatedBridge(host, containers.get(i)));
      attachments.get(i).add(UpdatedBridge.dualStack("\"hairpinMode\": true,"));
    }
    String mac = attachments.getFirst().result().interfaces().getFirst().mac();
    for (int round = 0; round < 3; round++) {
      TestBed.run(host.netns(), "ip", "link", "del", "br0");
      try (ExecutorService executor = Executors.newFixedThreadPool(attachments.size())) {
        List<Callable<Result>> repairs = new ArrayList<>();
        attachments.forEach(it -> repairs.add(() -> it.repair().applyOnly()));
        for (Future<Result> repair : executor.invokeAll(repairs)) {
          assertEquals(mac, repair.get().interfaces().getFirst().mac());
        }
      }
      for (UpdatedBridge it : attachments) {
        it.check();
      }
    }
    for (NetNs container : containers) {
      assertTrue(Probe.ping(container, "10.50.0.1") && Probe.ping(container, "fd50::1"));
    }
  }

  @Test
  void bridgeOfALaterAddKeepsItsHardwareAddress() throws Exception {
    attachment.add(UpdatedBridge.dualStack(""));
    TestBed.run(host.netns(), "ip", "link", "del", "br0");
    var later = new UpdatedBridge(host, host.container("b"));
    later.add(UpdatedBridge.dualStack(""));
    Result repaired = attachment.adoptBridge();
    assertEquals(
        later.result().interfaces().getFirst().mac(), repaired.interfaces().getFirst().mac());
    attachment.check();
    later.check();
    assertTrue(Probe.ping(a, "10.50.0.1"));
  }

  @Test
  void bridgeMadeByHandGetsTheKnownHardwareAddress() throws Exception {
    Result added = attachment.add(UpdatedBridge.dualStack(""));
    TestBed.run(host.netns(), "ip", "link", "del", "br0");
    TestBed.run(host.netns(), "ip", "link", "add", "br0", "type", "bridge");
    TestBed.run(host.netns(), "ip", "link", "set", attachment.port(), "master", "br0");
    assertEquals(
        added.interfaces().getFirst().mac(),
        attachment.adoptBridge().interfaces().getFirst().mac());
    assertTrue(
        TestBed.run(host.netns(), "ip", "link", "show", "br0")
            .contains(added.interfaces().getFirst().mac()));
  }

  @Test
  void foreignStateStays() throws Exception {
    attachment.add(UpdatedBridge.dualStack(OPTIONS));
    for (String command :
        List.of(
            "ip addr add 192.0.2.77/32 dev br0",
            "ip link add v8 type veth peer name v9",
            "ip link set v9 master br0",
            "nft add rule inet cni_plugins_masquerade masq_checks ip saddr 192.0.2.9 masquerade",
            "nft add rule bridge nat PREROUTING counter")) {
      TestBed.run(host.netns(), command.split(" ", -1));
    }
    TestBed.run(a, "ip", "addr", "add", "192.0.2.5/24", "dev", "eth0");
    TestBed.run(a, "ip", "route", "add", "198.51.100.0/24", "via", "10.50.0.7");
    HostSnapshot before = attachment.snapshot();
    assertEquals(Optional.empty(), attachment.repair().check());
    damage("c", "ip route del default");
    damage("h", "ip link set VETH nomaster");
    attachment.repairAll();
    attachment.snapshot().requireEqual(before);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "\"ipam\": {},"})
  void bridgeWithoutAddressesIsRestored(String options) throws Exception {
    attachment.add("{ \"type\": \"bridge\", " + options + " \"bridge\": \"br0\" }");
    HostSnapshot whole = attachment.snapshot();
    damage("h", "ip link del br0");
    damage("c", "ip link set eth0 down");
    attachment.repair().requireUndo();
    attachment.repairAll();
    assertEquals("", attachment.snapshot().diff(whole));
  }

  @Test
  void interfaceThatStaysDownIsNotSetUp() throws Exception {
    attachment.add(
        "{ \"type\": \"bridge\", \"bridge\": \"br0\", \"disableContainerInterface\": true }");
    attachment.check();
    assertFalse(TestBed.run(a, "ip", "link", "show", "eth0").contains(",UP"));
  }

  @Test
  void adoptedPortIsRestored() throws Exception {
    attachment.addToExistingInterface(
        UpdatedBridge.dualStack("\"hairpinMode\": true, \"macspoofchk\": true,"));
    attachment.check();
    HostSnapshot whole = attachment.snapshot();
    for (String damage :
        List.of(
            "h ip link del br0",
            "h ip link set h0 nomaster",
            "h ip link set h0 down",
            "h nft flush ruleset",
            "c ip addr flush dev eth0 scope global")) {
      damage(damage.substring(0, 1), damage.substring(2));
      UpdateTester repair = attachment.repair();
      assertTrue(repair.check().isPresent(), damage);
      repair.requireUndo();
      attachment.repairAll();
      assertEquals("", attachment.snapshot().diff(whole), damage);
    }
    assertTrue(Probe.ping(a, "10.50.0.1") && Probe.ping(a, "fd50::1"));
    attachment.delete();
    assertFalse(TestBed.run(host.netns(), "ip", "link", "show", "h0").contains("master"));
  }
}
