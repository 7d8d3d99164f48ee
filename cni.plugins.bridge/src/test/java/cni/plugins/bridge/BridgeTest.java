// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Json;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The bridge plugin with in-process plugins only. */
@KernelTest
class BridgeTest {
  private final TestHost host;
  private final NetNs a;
  private final NetNs b;

  BridgeTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
  }

  private Network network() throws CniException {
    return host.openCni().network("n");
  }

  @Test
  void containersReachGatewayAndEachOther() throws Exception {
    host.dualStack("n", "");
    Network network = network();
    Result first = network.add(attachment(a));
    Result second = network.add(attachment(b));
    assertEquals(
        List.of("br0", "eth0"),
        List.of(first.interfaces().getFirst().name(), first.interfaces().getLast().name()));
    assertEquals(2, first.ipsOf(2).size());
    for (NetNs from : List.of(a, b)) {
      for (String to : List.of("10.50.0.1", "fd50::1")) {
        assertTrue(Probe.ping(from, to), () -> from + " to " + to);
      }
    }
    for (Result.IpConfig ip : second.ips()) {
      assertTrue(Probe.ping(a, cni.api.InetAddresses.format(ip.address().address())), ip::toString);
    }
    assertEquals(
        "default via 10.50.0.1 dev eth0", TestBed.run(a, "ip", "route", "show", "default").strip());
    assertTrue(
        TestBed.run(a, "ip", "-6", "route", "show", "default").contains("via fd50::1 dev eth0"));
    assertEquals("1", TestBed.run(host.netns(), "sysctl", "-n", "net.ipv4.ip_forward").strip());
    assertEquals(
        "1", TestBed.run(host.netns(), "sysctl", "-n", "net.ipv6.conf.all.forwarding").strip());
    network.check(attachment(a));
    network.check(attachment(b));
    network.delete(attachment(a));
    network.delete(attachment(b));
    host.assertNothingLeft("n", a, b);
    network.delete(attachment(a)); // a repeated DEL succeeds
  }

  @Test
  void resultMatchesKernelState() throws Exception {
    host.dualStack("n", "\"mtu\": 1400, \"capabilities\": { \"mac\": true },");
    Attachment attachment =
        attachment(a)
            .withCapabilityArgs(
                Map.of("mac", Json.parse("{\"m\":\"02:aa:00:00:00:01\"}", "t").get("m")));
    Result result = network().add(attachment);
    Result.Interface eth0 = result.interfaces().get(2);
    assertEquals("02:aa:00:00:00:01", eth0.mac());
    assertEquals(a.path().toString(), eth0.sandbox());
    String shown = TestBed.run(a, "ip", "-d", "link", "show", "eth0");
    assertTrue(shown.contains("mtu 1400") && shown.contains("02:aa:00:00:00:01"), shown);
    Result.Interface veth = result.interfaces().get(1);
    String port = TestBed.run(host.netns(), "ip", "-d", "link", "show", veth.name());
    assertTrue(port.contains("master br0") && port.contains("mtu 1400"), port);
    assertTrue(port.contains(veth.mac()), port);
    assertTrue(
        TestBed.run(host.netns(), "ip", "link", "show", "br0")
            .contains(result.interfaces().getFirst().mac()));
    network().delete(attachment);
  }

  @Test
  void macOfArgsTakesPrecedenceOverCniArgs() throws Exception {
    host.dualStack("n", "\"args\": { \"cni\": { \"mac\": \"02:aa:00:00:00:02\" } },");
    Map<String, String> args = Map.of("MAC", "02:aa:00:00:00:03", "OTHER", "x");
    assertEquals(
        "02:aa:00:00:00:02", network().add(attachment(a).withArgs(args)).interfaces().get(2).mac());
    host.dualStack("n", "");
    assertEquals(
        "02:aa:00:00:00:03", network().add(attachment(b).withArgs(args)).interfaces().get(2).mac());
  }

  @Test
  void portIsolationAndHairpinModeAreApplied() throws Exception {
    host.dualStack("n", "\"portIsolation\": true, \"hairpinMode\": true,");
    Result first = network().add(attachment(a));
    Result second = network().add(attachment(b));
    String port =
        TestBed.run(host.netns(), "ip", "-d", "link", "show", first.interfaces().get(1).name());
    assertTrue(port.contains("hairpin on") && port.contains("isolated on"), port);
    assertTrue(Probe.ping(a, "10.50.0.1"));
    assertFalse(
        Probe.ping(a, cni.api.InetAddresses.format(second.ips().getFirst().address().address())));
  }

  @Test
  void promiscModeAndDadAreApplied() throws Exception {
    host.dualStack("n", "\"promiscMode\": true, \"enabledad\": true,");
    network().add(attachment(a));
    assertTrue(TestBed.run(host.netns(), "ip", "link", "show", "br0").contains("PROMISC"));
    assertEquals("1", TestBed.run(a, "sysctl", "-n", "net.ipv6.conf.eth0.accept_dad").strip());
    assertFalse(TestBed.run(a, "ip", "addr", "show", "eth0").contains("tentative"));
    network().check(attachment(a));
    TestBed.run(host.netns(), "ip", "link", "set", "br0", "promisc", "off");
    CniException e = assertThrows(CniException.class, () -> network().check(attachment(a)));
    assertTrue(e.getMessage().contains("promiscuous mode off"), e::getMessage);
  }

  @Test
  void withoutIpamBridgeSwitchesOnly() throws Exception {
    host.network("n", "1.1.0", "{ \"type\": \"bridge\", \"bridge\": \"br0\" }");
    Result result = network().add(attachment(a));
    network().add(attachment(b));
    assertEquals(List.of(), result.ips());
    TestBed.run(a, "ip", "addr", "add", "10.60.0.1/24", "dev", "eth0");
    TestBed.run(b, "ip", "addr", "add", "10.60.0.2/24", "dev", "eth0");
    assertTrue(Probe.ping(a, "10.60.0.2"));
    network().check(attachment(a));
    network().delete(attachment(a));
    network().delete(attachment(b));
    host.assertNothingLeft("n", a, b);
  }

  @Test
  void disableContainerInterfaceLeavesInterfaceDown() throws Exception {
    host.network(
        "n",
        "1.1.0",
        "{ \"type\": \"bridge\", \"bridge\": \"br0\", \"disableContainerInterface\": true }");
    network().add(attachment(a));
    assertTrue(TestBed.run(a, "ip", "link", "show", "eth0").contains("state DOWN"));
  }

  @Test
  void conflictingBridgeAddressIsReplacedOnlyWithForceAddress() throws Exception {
    TestBed.run(host.netns(), "ip", "link", "add", "br0", "type", "bridge");
    TestBed.run(host.netns(), "ip", "addr", "add", "10.50.0.77/24", "dev", "br0");
    host.dualStack("n", "");
    CniException e = assertThrows(CniException.class, () -> network().add(attachment(a)));
    assertEquals(7, e.code());
    assertTrue(
        e.getMessage().contains("10.50.0.77/24") && e.getMessage().contains("forceAddress"),
        e::getMessage);
    host.assertNothingLeft("n", a);
    host.dualStack("n", "\"forceAddress\": true,");
    network().add(attachment(a));
    String shown = TestBed.run(host.netns(), "ip", "addr", "show", "br0");
    assertTrue(shown.contains("10.50.0.1/24") && !shown.contains("10.50.0.77"), shown);
  }

  @Test
  void bridgeMacIsStableWhenPortsChange() throws Exception {
    TestBed.run(
        host.netns(), "ip", "link", "add", "br0", "type", "bridge"); // without addresses and ports
    host.dualStack("n", "");
    Result first = network().add(attachment(a));
    for (int i = 0; i < 4; i++) {
      NetNs other = host.container("other" + i);
      network().add(attachment(other));
      network().check(attachment(a));
      network().delete(attachment(other));
    }
    assertTrue(
        TestBed.run(host.netns(), "ip", "link", "show", "br0")
            .contains(first.interfaces().getFirst().mac()));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "c|ip addr del 10.50.0.2/24 dev eth0|address 10.50.0.2/24 is missing from interface eth0",
        "c|ip addr flush dev eth0|is missing from interface eth0",
        "c|ip route del default|route 0.0.0.0/0 via 10.50.0.1 is missing",
        "c|ip route replace default via 10.50.0.9|the routes to this destination go via 10.50.0.9",
        "c|ip link set eth0 address 02:00:00:00:00:99|has hardware address 02:00:00:00:00:99",
        "c|ip link del eth0|interface eth0 is missing from the container",
        "h|ip link set VETH nomaster|is not a port of bridge br0",
        "h|ip link set VETH address 02:00:00:00:00:99|has hardware address 02:00:00:00:00:99",
        "h|ip link set VETH down|route",
        "h|ip link del br0|interface br0 is missing from the host",
        "h|ip addr del 10.50.0.1/24 dev br0|does not have the gateway's address 10.50.0.1/24",
        "h|ip link set br0 address 02:00:00:00:00:99|interface br0 in the host has",
        "d|10.50.0.2 fd50::2|no address is reserved"
      })
  void checkReportsMismatch(String where, String change, String part) throws Exception {
    host.dualStack("n", "");
    Result result = network().add(attachment(a));
    network().check(attachment(a));
    String[] command = change.replace("VETH", result.interfaces().get(1).name()).split(" ", -1);
    switch (where) {
      case "c" -> TestBed.run(a, command);
      case "h" -> TestBed.run(host.netns(), command);
      default -> {
        for (String address : command) {
          java.nio.file.Files.delete(host.ipamData().resolve("n").resolve(address));
        }
      }
    }
    if (change.endsWith("down")) {
      TestBed.run(a, "ip", "route", "flush", "dev", "eth0");
    }
    CniException e = assertThrows(CniException.class, () -> network().check(attachment(a)));
    assertTrue(e.getMessage().contains(part), e::getMessage);
    network().delete(attachment(a));
    assertEquals(List.of(), host.reservations("n"));
  }

  @Test
  void deleteSucceedsWithoutNamespaceOrCachedResult() throws Exception {
    host.dualStack("n", "");
    network().add(attachment(a));
    network().delete(attachment(a).withoutNamespace());
    host.assertNothingLeft("n", a);
    network().add(attachment(b));
    java.nio.file.Files.writeString(
        host.cache().resolve("results").resolve(host.results().getFirst()), "{ broken");
    network().delete(attachment(b));
    host.assertNothingLeft("n", a, b);
    network().add(attachment(b));
    Attachment moved =
        new Attachment(
            attachment(b).id(),
            java.util.Optional.of(java.nio.file.Path.of("/run/netns/deleted")),
            Map.of(),
            Map.of());
    network().delete(moved);
    host.assertNothingLeft("n", a, b);
  }

  @Test
  void deleteSucceedsAfterConfigurationChange() throws Exception {
    host.dualStack("n", "");
    network().add(attachment(a));
    host.network("n", "1.0.0", TestHost.DUAL_STACK.formatted("").replace("br0", "br1"));
    network().delete(attachment(a));
    host.assertNothingLeft("n", a);
  }

  @Test
  void chainedBridgeAdoptsInterfaceOfEarlierPlugin() throws Exception {
    TestBed.run(host.netns(), "ip", "tuntap", "add", "tap7", "mode", "tap");
    host.script(
        "maker",
        "[ $CNI_COMMAND = ADD ] || exit 0\n"
            + "echo '{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"tap7\"}]}'");
    host.network(
        "n", "1.0.0", "{ \"type\": \"maker\" }", "{ \"type\": \"bridge\", \"bridge\": \"br0\" }");
    Result result = network().add(attachment(a));
    assertEquals(
        List.of("tap7", "br0"), result.interfaces().stream().map(Result.Interface::name).toList());
    assertTrue(TestBed.run(host.netns(), "ip", "link", "show", "tap7").contains("master br0"));
    network().delete(attachment(a));
    assertFalse(TestBed.run(host.netns(), "ip", "link", "show", "tap7").contains("master"));
  }

  @Test
  void containerJoinsTwoNetworks() throws Exception {
    host.dualStack("n", "");
    Attachment first = attachment(a);
    Attachment second =
        new Attachment(
            new AttachmentId(first.containerId(), "eth1"), first.namespace(), Map.of(), Map.of());
    host.network(
        "m", "1.0.0", TestHost.DUAL_STACK.formatted("").replace("50", "51").replace("br0", "br1"));
    network().add(first);
    host.openCni().network("m").add(second);
    network().delete(first);
    assertTrue(Probe.ping(a, "10.51.0.1"));
    host.openCni().network("m").delete(second);
    host.assertNothingLeft("m", a);
  }

  @Test
  void concurrentAddsAndDeletesSucceed() throws Exception {
    host.dualStack("n", "");
    List<NetNs> containers = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      containers.add(host.container("many" + i));
    }
    try (Cni cni = host.openCni();
        var workers = Executors.newFixedThreadPool(16)) {
      Network network = cni.network("n");
      List<Callable<Boolean>> tasks = new ArrayList<>();
      for (NetNs container : containers) {
        tasks.add(
            () -> {
              network.add(attachment(container));
              network.check(attachment(container));
              return Probe.ping(container, "10.50.0.1") && Probe.ping(container, "fd50::1");
            });
      }
      for (Future<Boolean> reached : workers.invokeAll(tasks)) {
        assertTrue(reached.get());
      }
      tasks.clear();
      for (NetNs container : containers) {
        tasks.add(
            () -> {
              network.delete(attachment(container));
              return true;
            });
      }
      for (Future<Boolean> deleted : workers.invokeAll(tasks)) {
        assertTrue(deleted.get());
      }
    }
    host.assertNothingLeft("n", containers.toArray(NetNs[]::new));
  }

  @Test
  void lateDeleteKeepsNextContainerAtSamePath() throws Exception {
    host.dualStack("n", "");
    Attachment first = Attachment.of("first", a.path(), "eth0");
    Attachment second = Attachment.of("second", a.path(), "eth0");
    network().add(first);
    try (NetNs old = NetNs.open(a.path())) { // keeps it alive, as a process in it would
      host.recreate(a);
      network().add(second);
      network().delete(first);
      network().check(second);
      assertEquals(List.of(), TestBed.linkNames(old, "veth"));
      assertEquals(List.of("10.50.0.3", "fd50::3"), host.reservations("n"));
    }
    try (NetNs again = NetNs.open(a.path())) {
      assertTrue(Probe.ping(again, "10.50.0.1"));
      network().delete(second);
      host.assertNothingLeft("n", again);
    }
  }

  @Test
  void nonAsciiInterfaceNameIsAccepted() throws Exception {
    host.dualStack("n", "");
    var id = new AttachmentId("c", "\u00e4th\u00f6");
    var attachment = new Attachment(id, java.util.Optional.of(a.path()), Map.of(), Map.of());
    network().add(attachment);
    network().gc(java.util.Set.of(id));
    network().check(attachment);
    network().delete(attachment);
    host.assertNothingLeft("n", a);
  }

  @Test
  void checkIgnoresGatewayReplacedByForceAddressOfOtherNetwork() throws Exception {
    host.dualStack("n", "\"forceAddress\": true,");
    host.network(
        "m",
        "1.0.0",
        TestHost.DUAL_STACK
            .formatted("\"forceAddress\": true,")
            .replace("0.50.", "0.51.")
            .replace("fd50", "fd51"));
    network().add(attachment(a));
    host.openCni().network("m").add(attachment(b));
    network().check(attachment(a));
    host.openCni().network("m").check(attachment(b));
  }
}
