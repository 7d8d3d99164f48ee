// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.sbr;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.meta.UpdateRequests;
import cni.runtime.AttachmentUpdate;
import cni.runtime.Cni;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.TrafficProbe;
import cni.testing.UpdateTester;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Repair and update of source-based routing: rules and routes are those of a new ADD. */
@KernelTest(reference = true)
class SbrUpdateTest {
  private final TestHost host;
  private final NetNs a;
  private final Attachment second;

  SbrUpdateTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    second = Attachment.of(TestBed.nameOf(a), a.path(), "eth1");
  }

  private Cni cni(String... executables) {
    return host.withReference(executables);
  }

  private static String config(String options) {
    return "{ \"type\": \"sbr\"" + options + " }";
  }

  private void network(String options) throws IOException {
    network(options, "\"isDefaultGateway\": true", "");
  }

  private void network(String options, String gateway, String routes) throws IOException {
    host.network(
        "m",
        "1.1.0",
        TestHost.DUAL_STACK
            .formatted("\"mac\": \"02:00:00:00:00:99\",")
            .replace("br0", "br1")
            .replace("0.50.", "0.51.")
            .replace("fd50", "fd51")
            .replace("\"isDefaultGateway\": true", gateway)
            .replace("\"ranges\"", routes + "\"ranges\""),
        config(options));
  }

  /** Returns the state of the container; priorities of rules depend on the order of additions. */
  private HostSnapshot state() throws IOException, CniException {
    return new HostSnapshot(
        HostSnapshot.of(a).lines().stream()
            .filter(line -> !line.contains("Peer netns reference"))
            .map(line -> line.replaceAll("\"priority\":327\\d\\d,", ""))
            .sorted()
            .toList());
  }

  private UpdateTester tester(Result result, String current, String desired) throws CniException {
    return new UpdateTester(
        new SbrPlugin(),
        UpdateRequests.of(host, "m", second, result, config(current), config(desired)),
        this::state);
  }

  private void run(String commands) throws IOException {
    for (String command : commands.split("; ", -1)) {
      TestBed.run(a, command.split(" ", -1));
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      nullValues = "NONE",
      value = {
        "NONE|ip rule del from 10.51.0.2",
        "NONE|ip -6 rule del from fd51::2",
        "NONE|ip route flush table 100",
        "NONE|ip -6 route flush table 101",
        "NONE|ip route del default table 100",
        "NONE|ip route replace default via 10.51.0.77 dev eth1 table 100",
        "NONE|ip -6 route replace default via fd51::77 dev eth1 table 101",
        "NONE|ip rule del from 10.51.0.2; ip -6 rule del from fd51::2",
        "NONE|ip rule del from 10.51.0.2; ip route flush table 100; ip -6 route flush table 100",
        ", \"table\": 77|ip rule del from 10.51.0.2",
        ", \"table\": 4000000000|ip -6 rule del from fd51::2",
      })
  void damageIsRepairedAndTheRepairCanBeUndone(String options, String damage) throws Exception {
    String chosen = options == null ? "" : options;
    network(chosen);
    Result result = cni().network("m").add(second);
    HostSnapshot whole = state();
    UpdateTester tester = tester(result, chosen, chosen);
    assertEquals(List.of(), tester.compare());
    run(damage);
    assertTrue(tester.check().isPresent());
    tester.requireUndo();
    assertEquals(result, tester.apply());
    boolean isTableLost = damage.contains("-6 route flush table 100");
    if (!isTableLost) { // which has a copy of the other family's routes, of no use
      state().requireEqual(whole);
    }
    run(damage);
    assertFalse(cni().network("m").repair(second.id()).steps().isEmpty());
    cni().network("m").check(second);
    cni("sbr").network("m").delete(second);
    assertNoRules();
  }

  private void assertNoRules() throws IOException {
    String rules = TestBed.run(a, "ip", "-4", "rule") + TestBed.run(a, "ip", "-6", "rule");
    assertFalse(rules.contains("51"), rules);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      nullValues = "NONE",
      value = {
        "NONE|, \"table\": 77",
        ", \"table\": 77|NONE",
        ", \"table\": 77|, \"table\": 1078",
        "NONE|, \"gateways\": [\"10.51.0.77\", \"fd51::77\"]",
        ", \"gateways\": [\"10.51.0.77\", \"fd51::77\"]|NONE",
        "NONE|, \"addSourceHints\": true",
        ", \"addSourceHints\": true|NONE",
        ", \"addSourceHints\": true|, \"table\": 77",
      })
  void updateLeavesTheStateOfANewAdd(String before, String after) throws Exception {
    for (String gateway : List.of("\"isDefaultGateway\": true", "\"isGateway\": true")) {
      String current = before == null ? "" : before;
      String desired = after == null ? "" : after;
      String routes =
          "\"routes\": [{ \"dst\": \"192.0.2.0/24\" }, { \"dst\": \"2001:db8::/64\" }],";
      network(desired, gateway, routes);
      cni().network("m").add(second);
      HostSnapshot expected = state().withoutRandomNames();
      cni().network("m").delete(second);
      host.deleteReservations("m");
      network(current, gateway, routes);
      Result result = cni().network("m").add(second);

      boolean configuresGateways = (current + desired).contains("gateways");
      if (!configuresGateways || gateway.contains("isGateway")) { // others the default route hides
        tester(result, current, desired).requireUndo();
      }
      network(desired, gateway, routes);
      cni().network("m").update(second.id(), AttachmentUpdate.NONE.withNetworkConfig());
      state().withoutRandomNames().requireEqual(expected);
      cni().network("m").check(second);
      cni("sbr").network("m").check(second);
      cni("sbr").network("m").delete(second);
      assertNoRules();
      host.deleteReservations("m");
    }
  }

  @Test
  void routesOfTheResultAreAddedAndDeletedInTheTables() throws Exception {
    String routes = "\"routes\": [{ \"dst\": \"192.0.2.0/24\" }],";
    network("", "\"isDefaultGateway\": true", routes);
    Result with = cni().network("m").add(second);
    HostSnapshot whole = state();
    Result without =
        with.withRoutes(
            with.routes().stream()
                .filter(it -> !it.destination().toString().equals("192.0.2.0/24"))
                .toList());
    var removal =
        new UpdateTester(
            new SbrPlugin(),
            new UpdateRequest(
                UpdateRequests.unchanged(host, "m", second, with, config("")).current(),
                UpdateRequests.unchanged(host, "m", second, without, config("")).desired()),
            this::state);
    removal.requireUndo();
    removal.apply();
    assertFalse(TestBed.run(a, "ip", "route", "show", "table", "100").contains("192.0.2.0"));
    run("ip route add 192.0.2.0/24 via 10.51.0.1 dev eth1 onlink"); // as the bridge plugin does
    tester(with, "", "").requireUndo();
    tester(with, "", "").apply();
    state().requireEqual(whole);
  }

  /** The rules and tables are those of the addresses that the plugin before has changed. */
  @Test
  void addressesOfThePluginBeforeAreFollowed() throws Exception {
    host.outside();
    networkOfMacvlan("192.0.2", "2001:db8:");
    cni().network("m").add(second);
    networkOfMacvlan("203.0.113", "2001:db8:2:");
    cni().network("m").update(second.id(), AttachmentUpdate.NONE.withNetworkConfig());
    cni().network("m").check(second);
    HostSnapshot updated = state();
    String rules = TestBed.run(a, "ip", "rule") + TestBed.run(a, "ip", "-6", "rule");
    assertTrue(rules.contains("from 203.0.113.10 "), rules);
    assertTrue(rules.contains("from 2001:db8:2::10 "), rules);
    assertFalse(rules.contains("192.0.2.10") || rules.contains("2001:db8::10"), rules);
    String routes = updated.toString();
    assertFalse(routes.contains("192.0.2.") || routes.contains("2001:db8::"), routes);
    cni().network("m").delete(second);
  }

  private void networkOfMacvlan(String v4, String v6) throws IOException {
    host.network(
        "m",
        "1.1.0",
        """
        { "type": "macvlan", "master": "up0",
          "ipam": { "type": "static", "routes": [ { "dst": "0.0.0.0/0" }, { "dst": "::/0" } ],
            "addresses": [ { "address": "%s.10/24", "gateway": "%s.2" },
                           { "address": "%s:10/64", "gateway": "%s:2" } ] } }
        """
            .formatted(v4, v4, v6, v6),
        config(""));
  }

  @Test
  void trafficIsNotInterrupted() throws Exception {
    network("");
    cni().network("m").add(second);
    host.awaitAddresses();
    TestBed.addAddress(host.netns(), "br1", "10.51.0.77", 24);
    TestBed.addAddress(host.netns(), "br1", "fd51::77", 64);
    for (String options :
        List.of(
            ", \"table\": 77",
            "",
            ", \"addSourceHints\": true",
            ", \"gateways\": [\"10.51.0.77\", \"fd51::77\"]")) {
      try (var probe = TrafficProbe.start(host.netns(), a, "10.51.0.2", "fd51::2")) {
        network(options);
        cni().network("m").update(second.id(), AttachmentUpdate.NONE.withNetworkConfig());
        probe.requireNoLoss();
      }
    }
  }
}
