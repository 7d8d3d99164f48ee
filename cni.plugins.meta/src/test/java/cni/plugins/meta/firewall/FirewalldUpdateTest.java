// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.firewall;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.meta.UpdateRequests;
import cni.runtime.Cni;
import cni.testing.FirewalldServer;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.UpdateTester;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Repair and update of the sources of a zone of firewalld, which runs on a private D-Bus bus. */
@KernelTest(commands = {"firewalld", "dbus-daemon", "nft"})
class FirewalldUpdateTest {
  private static final String CONFIG = config("firewalld");
  private static final String V4 = "10.50.0.2/32";
  private static final String V6 = "fd50::2/128";

  private final TestHost host;
  private final NetNs a;
  private final FirewalldServer firewalld;
  private final FirewallPlugin plugin;

  /** The result of the bridge plugin. */
  private Result result = Result.EMPTY;

  FirewalldUpdateTest(TestHost host) throws Exception {
    this.host = host;
    a = host.container("a");
    firewalld = FirewalldServer.start(host.netns(), host.ipamData().resolve("firewalld"));
    plugin = new FirewallPlugin(new FirewalldClient(firewalld.socket()));
  }

  @BeforeEach
  void attach() throws Exception {
    host.dualStack("n", "");
    try (Cni cni = host.openCni()) {
      result = cni.network("n").add(TestHost.attachment(a));
    }
    plugin.add(request(CONFIG, result));
    assertEquals(List.of(V4, V6), sources());
  }

  @AfterEach
  void stop() {
    firewalld.close();
  }

  private static String config(String backend) {
    return "{ \"type\": \"firewall\", \"backend\": \"%s\" }".formatted(backend);
  }

  private AttachmentRequest request(String config, Result previous) throws CniException {
    return UpdateRequests.unchanged(host, "n", TestHost.attachment(a), previous, config).desired();
  }

  private List<String> sources() throws IOException {
    return firewalld.sources("trusted");
  }

  private UpdateTester tester(AttachmentRequest current, AttachmentRequest desired) {
    return new UpdateTester(plugin, new UpdateRequest(current, desired), this::state);
  }

  private UpdateTester repair() throws CniException {
    AttachmentRequest request = request(CONFIG, result);
    return tester(request, request);
  }

  private UpdateTester update(String before, String after) throws CniException {
    return tester(request(before, result), request(after, result));
  }

  /** Returns the sources, and everything but the rules that firewalld makes of them. */
  private HostSnapshot state() throws IOException, CniException {
    List<String> lines = new ArrayList<>(HostSnapshot.of(host.netns()).lines());
    lines.removeIf(line -> line.contains("firewalld"));
    lines.add("sources by zone: " + firewalld.sourcesByZone());
    return new HostSnapshot(lines);
  }

  private static String missing(String sources) {
    return "source %s is missing from zone trusted of firewalld".formatted(sources);
  }

  @Test
  void lostSourcesAreAddedAgain() throws Exception {
    firewalld.command("--zone=trusted", "--add-source=192.0.2.7"); // an administrator's
    HostSnapshot whole = state();
    assertEquals(List.of(), repair().compare());
    for (String source : List.of(V4, V6)) {
      firewalld.command("--zone=trusted", "--remove-source=" + source);
      assertEquals(List.of(missing(source)), repair().compare());
      repair().requireUndo();
      assertEquals(result, repair().apply());
      state().requireEqual(whole);
    }
    firewalld.command("--reload");
    assertEquals(List.of(), sources());
    assertEquals(List.of(missing(V4 + ", " + V6)), repair().compare());
    repair().requireUndo();
    assertEquals(result, repair().apply());
    assertEquals(List.of(V4, V6), sources());
  }

  @ParameterizedTest
  @ValueSource(strings = {"iptables", "nftables"})
  void theBackendChanges(String other) throws Exception {
    HostSnapshot viaFirewalld = state();
    plugin.delete(request(CONFIG, result));
    assertEquals(List.of(), sources());
    plugin.add(request(config(other), result));
    HostSnapshot viaRules = state();
    update(config(other), CONFIG).requireUndo();
    update(config(other), CONFIG).apply();
    assertEquals(List.of(V4, V6), sources());
    update(CONFIG, config(other)).requireUndo();
    update(CONFIG, config(other)).apply();
    state().requireEqual(viaRules);
    update(config(other), CONFIG).apply();
    assertEquals(linesOfRules(viaFirewalld, result), linesOfRules(state(), result));
    plugin.delete(request(CONFIG, result));
    assertEquals(List.of(), sources());
  }

  /** Returns the lines that name an address of the container. */
  private static List<String> linesOfRules(HostSnapshot state, Result result) {
    return state.lines().stream()
        .filter(
            line ->
                result.ips().stream().anyMatch(ip -> line.contains(ip.address().address() + "")))
        .toList();
  }

  @Test
  void sourcesFollowTheAddresses() throws Exception {
    Result moved =
        result.withIps(
            result.ips().stream()
                .map(
                    ip ->
                        new Result.IpConfig(
                            Cidr.parse(ip.address().toString().replaceFirst("([.:])2/", "$177/")),
                            ip.gateway(),
                            ip.interfaceIndex()))
                .toList());
    AttachmentRequest current = request(CONFIG, result);
    AttachmentRequest desired = request(CONFIG, moved);
    tester(current, desired).requireUndo();
    tester(current, desired).apply();
    assertEquals(List.of("10.50.0.77/32", "fd50::77/128"), sources());
    plugin.delete(desired);
    assertEquals(List.of(), sources());
  }

  @Test
  void anAdditionThatFailsLeavesTheOtherSourcesAsTheyWere() throws Exception {
    firewalld.command("--reload");
    firewalld.command("--zone=block", "--add-source=" + V6); // a source has one zone
    HostSnapshot before = state();
    CniException e = assertThrows(CniException.class, repair()::applyOnly);
    assertTrue(e.getMessage().contains("ZONE_CONFLICT"), e::getMessage);
    state().requireEqual(before);
  }

  @Test
  void aHostWithoutFirewalldCanGetAnotherBackend() throws Exception {
    firewalld.close();
    assertTrue(repair().check().orElse("").contains("firewalld"));
    TestBed.run(
        host.netns(),
        "nft",
        "table inet guard { chain passing { type filter hook forward priority 10; policy drop; }; }");
    UpdateRequest request =
        new UpdateRequest(request(CONFIG, result), request(config("nftables"), result));
    var tester = new UpdateTester(plugin, request, () -> HostSnapshot.of(host.netns()));
    tester.requireUndo();
    tester.apply();
    assertTrue(
        TestBed.run(host.netns(), "nft", "list", "table", "inet", "guard").contains(" 10.50.0.2 "));
  }
}
