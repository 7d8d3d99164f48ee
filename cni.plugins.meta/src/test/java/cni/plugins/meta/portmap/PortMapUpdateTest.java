// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import static cni.testing.TestHost.HOST_V4;
import static cni.testing.TestHost.HOST_V6;
import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Json;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.meta.UpdateRequests;
import cni.runtime.AttachmentUpdate;
import cni.runtime.Cni;
import cni.runtime.UpdateReport;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.TrafficProbe;
import cni.testing.UpdateTester;
import java.io.IOException;
import java.net.DatagramSocket;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Repair and update of port mappings, with both backends. */
@KernelTest(
    commands = {"nft", "iptables"},
    reference = true)
class PortMapUpdateTest {
  /** Port 8080 of TCP and UDP to 80; words of parameters are replaced by mappings. */
  private static final String TCP =
      "{ \"hostPort\": 8080, \"containerPort\": 80, \"protocol\": \"tcp\" }";

  private static final String UDP =
      "{ \"hostPort\": 8080, \"containerPort\": 80, \"protocol\": \"udp\" }";
  private static final String OTHER =
      "{ \"hostPort\": 8081, \"containerPort\": 80, \"protocol\": \"tcp\" }";
  private static final String INNER =
      "{ \"hostPort\": 8080, \"containerPort\": 81, \"protocol\": \"tcp\" }";
  private static final String SCTP =
      "{ \"hostPort\": 8082, \"containerPort\": 80, \"protocol\": \"sctp\" }";
  private static final String IP4 =
      "{ \"hostPort\": 8080, \"containerPort\": 81, \"protocol\": \"tcp\", \"hostIP\": \"192.0.2.1\" }";
  private static final String IP6 =
      "{ \"hostPort\": 8083, \"containerPort\": 80, \"protocol\": \"tcp\", \"hostIP\": \"2001:db8::1\" }";

  private final TestHost host;
  private final NetNs a;
  private final NetNs b;
  private final NetNs outside;

  PortMapUpdateTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
    outside = host.outside();
  }

  private Cni cni(String... executables) {
    return host.withReference(executables);
  }

  private static String config(String options) {
    return "{ \"type\": \"portmap\", %s \"capabilities\": { \"portMappings\": true } }"
        .formatted(options);
  }

  private static String backend(String name) {
    return "\"backend\": \"" + name + "\", ";
  }

  private void network(String options) throws IOException {
    host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted(""), config(options));
  }

  private static String mappings(String words) {
    return "["
        + words
            .replace("TCP", TCP)
            .replace("UDP", UDP)
            .replace("OTHER", OTHER)
            .replace("INNER", INNER)
            .replace("SCTP", SCTP)
            .replace("IP4", IP4)
            .replace("IP6", IP6)
            .replaceAll("\\} +\\{", "}, {")
        + "]";
  }

  private static Attachment mapped(NetNs container, String words) throws CniException {
    return attachment(container, "portMappings", mappings(words));
  }

  private static AttachmentUpdate ports(String words) throws CniException {
    return AttachmentUpdate.NONE.withCapabilityArg(
        "portMappings", Json.parse("{\"of\":" + mappings(words) + "}", "test").get("of"));
  }

  private HostSnapshot state() throws IOException, CniException {
    return HostSnapshot.of(host.netns());
  }

  private UpdateTester tester(
      Result result, String before, String after, String ports, String newPorts)
      throws CniException {
    UpdateRequest current =
        UpdateRequests.unchanged(host, "n", mapped(a, ports), result, config(before));
    UpdateRequest desired =
        UpdateRequests.unchanged(host, "n", mapped(a, newPorts), result, config(after));
    UpdateRequest request =
        before.equals(after) && ports.equals(newPorts)
            ? current
            : new UpdateRequest(current.current(), desired.desired());
    return new UpdateTester(new PortMapPlugin(), request, this::state);
  }

  private void damage(String command) throws IOException {
    if (command.contains("CHAIN")) {
      String rules = TestBed.run(host.netns(), "nft", "list table ip nat");
      Matcher chain = Pattern.compile("chain (CNI-DN-\\w+)").matcher(rules);
      assertTrue(chain.find(), rules);
      TestBed.run(host.netns(), "nft", command.replace("CHAIN", chain.group(1)));
    } else if (command.startsWith("bridge")) {
      String port =
          TestBed.linkNames(host.netns(), "veth").stream()
              .filter(it -> it.startsWith("veth"))
              .findFirst()
              .orElseThrow();
      TestBed.run(host.netns(), command.replace("PORT", port).split(" ", -1));
    } else if (command.startsWith("sysctl")) {
      TestBed.run(host.netns(), command.split(" ", -1));
    } else {
      TestBed.run(host.netns(), "nft", command);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "nftables,flush ruleset",
    "nftables,delete table ip cni_hostport",
    "nftables,flush chain ip cni_hostport hostports",
    "nftables,flush chain ip6 cni_hostport hostports_all",
    "nftables,flush chain ip cni_hostport prerouting",
    "nftables,flush chain ip cni_hostport output",
    "nftables,flush chain ip cni_hostport masquerading",
    "nftables,sysctl -q net.ipv4.conf.br0.route_localnet=0",
    "nftables,bridge link set dev PORT hairpin off",
    "iptables,flush ruleset",
    "iptables,delete table ip6 nat",
    "iptables,flush chain ip nat CHAIN",
    "iptables,flush chain ip nat CNI-HOSTPORT-DNAT",
    "iptables,flush chain ip nat CNI-HOSTPORT-SETMARK",
    "iptables,flush chain ip nat CNI-HOSTPORT-MASQ",
    "iptables,flush chain ip nat POSTROUTING",
    "iptables,flush chain ip6 nat PREROUTING",
    "iptables,flush chain ip nat OUTPUT",
    "iptables,sysctl -q net.ipv4.conf.br0.route_localnet=0",
  })
  void damageIsRepairedAndTheRepairCanBeUndone(String backend, String damage) throws Exception {
    String options = backend(backend);
    String words = "TCP UDP SCTP IP6";
    network(options);
    Result result = cni().network("n").add(mapped(a, words));
    HostSnapshot whole = state();
    UpdateTester tester = tester(result, options, options, words, words);
    assertEquals(List.of(), tester.compare());
    damage(damage);
    assertTrue(tester.check().isPresent(), damage);
    tester.requireUndo();
    assertEquals(result, tester.apply());
    state().requireEqual(whole);
    damage(damage);
    assertFalse(cni().network("n").repair(attachment(a).id()).steps().isEmpty());
    state().requireEqual(whole);
  }

  /** Each single rule of the attachment and those that all share. */
  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"})
  void eachDeletedRuleIsRestoredAtItsPlace(String backend) throws Exception {
    String options = backend(backend);
    String words = "IP4 TCP UDP";
    network(options);
    host.serve(a, 81);
    Result result = cni().network("n").add(mapped(a, words));
    HostSnapshot whole = state();
    UpdateTester tester = tester(result, options, options, words, words);
    String table = backend.equals("nftables") ? "cni_hostport" : "nat";
    int rules = handles("ip " + table).size();
    assertTrue(rules > 8, "rules: " + rules);
    for (int i = 0; i < rules; i++) {
      String rule = List.copyOf(handles("ip " + table).values()).get(i);
      TestBed.run(host.netns(), "nft", "delete rule ip " + table + " " + rule);
      assertTrue(tester.check().isPresent(), rule);
      tester.apply();
      assertEquals(
          whole.lines().stream().sorted().toList(), state().lines().stream().sorted().toList());
      assertTrue(Probe.tcp(outside, HOST_V4, 8080).isPresent(), "the special mapping is first");
    }
  }

  /** Returns chains and handles ({@code hostports handle 7}) by chain and text of the rules. */
  private Map<String, String> handles(String table) throws IOException {
    Map<String, String> handles = new TreeMap<>();
    String chain = "";
    for (String line :
        TestBed.run(host.netns(), "nft", "-a", "list table " + table).lines().toList()) {
      String text = line.strip();
      if (text.startsWith("chain ")) {
        chain = text.split(" ", -1)[1];
      } else if (text.contains(" # handle ") && !text.startsWith("table ")) {
        String handle = text.substring(text.indexOf("handle"));
        String rule =
            text.substring(0, text.indexOf(" #")).replaceAll("packets \\d+ bytes \\d+", "");
        handles.put(chain + " " + rule, chain + " " + handle);
      }
    }
    return handles;
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "nftables|TCP|TCP OTHER",
        "nftables|TCP OTHER|OTHER",
        "nftables|TCP UDP SCTP|SCTP IP6 OTHER",
        "nftables|TCP|INNER",
        "nftables|TCP|IP4 TCP",
        "nftables|TCP IP4|IP4 TCP",
        "nftables||TCP UDP IP6",
        "nftables|TCP|UDP UDP",
        "iptables|TCP|TCP OTHER",
        "iptables|TCP OTHER|OTHER",
        "iptables|TCP UDP SCTP|SCTP IP6 OTHER",
        "iptables|TCP|INNER",
        "iptables|TCP|IP4 TCP",
        "iptables|TCP IP4|IP4 TCP",
        "iptables||TCP UDP IP6",
        "iptables|TCP|UDP UDP",
      })
  void updatedPortsLeaveTheStateOfANewAdd(String backend, String before, String after)
      throws Exception {
    String options = backend(backend);
    network(options);
    String old = before == null ? "" : before;
    cni().network("n").add(mapped(a, after));
    HostSnapshot expected = state().withoutRandomNames();
    cni().network("n").delete(mapped(a, after));
    host.deleteReservations("n");
    TestBed.run(host.netns(), "nft", "flush", "ruleset");
    TestBed.run(host.netns(), "sysctl", "-q", "net.ipv4.conf.br0.route_localnet=0");

    Result result = cni().network("n").add(mapped(a, old));
    tester(result, options, options, old, after).requireUndo();
    UpdateReport report = cni().network("n").update(attachment(a).id(), ports(after));
    assertFalse(report.steps().isEmpty());
    state().withoutRandomNames().requireEqual(expected);
    cni().network("n").check(attachment(a));
    cni("portmap").network("n").check(mapped(a, after));
    cni("portmap").network("n").delete(mapped(a, after));
    String rest = TestBed.run(host.netns(), "nft", "list", "ruleset");
    assertFalse(rest.contains("dnat to") || rest.contains("10.50.0.2"), rest);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"backend\": \"nftables\",|\"backend\": \"nftables\", \"snat\": false,",
        "\"backend\": \"nftables\", \"snat\": false,|\"backend\": \"nftables\",",
        "\"backend\": \"nftables\",|\"backend\": \"nftables\", \"conditionsV4\": [\"ip saddr !="
            + " 198.51.100.0/24\"],",
        "\"backend\": \"nftables\", \"conditionsV4\": [\"ip saddr { 10.0.0.0/8, 192.0.2.0/24 }\"],|\"backend\": \"nftables\","
            + " \"conditionsV4\": [\"ip saddr { 10.1.0.0/16, 192.0.2.0/24 }\"],",
        "\"conditionsV6\": [\"iifname != dummy\"],|\"backend\": \"nftables\",",
        "\"backend\": \"iptables\",|\"backend\": \"iptables\", \"masqAll\": true,",
        "\"backend\": \"iptables\",|\"backend\": \"iptables\", \"markMasqBit\": 4,",
        "\"backend\": \"iptables\", \"snat\": false,|\"backend\": \"iptables\",",
        "\"backend\": \"iptables\",|\"backend\": \"iptables\", \"conditionsV4\": [\"!\", \"-s\","
            + " \"198.51.100.0/24\"],",
      })
  void updatedOptionsLeaveTheStateOfANewAdd(String before, String after) throws Exception {
    String words = "TCP UDP IP6";
    network(after);
    cni().network("n").add(mapped(a, words));
    HostSnapshot expected = state().withoutRandomNames();
    cni().network("n").delete(mapped(a, words));
    host.deleteReservations("n");
    TestBed.run(host.netns(), "nft", "flush", "ruleset");
    TestBed.run(host.netns(), "sysctl", "-q", "net.ipv4.conf.br0.route_localnet=0");

    network(before);
    Result result = cni().network("n").add(mapped(a, words));
    tester(result, before, after, words, words).requireUndo();
    tester(result, before, after, words, words).apply();
    network(after);
    cni().network("n").update(attachment(a).id(), AttachmentUpdate.NONE.withNetworkConfig());
    if (!after.contains("snat")) {
      state().withoutRandomNames().requireEqual(expected);
    } else {
      assertEquals(rules(expected), rules(state().withoutRandomNames()));
    }
    cni().network("n").check(attachment(a));
    cni("portmap").network("n").check(mapped(a, words));
    cni("portmap").network("n").delete(mapped(a, words));
    String rest = TestBed.run(host.netns(), "nft", "list", "ruleset");
    assertFalse(rest.contains("dnat to") || rest.contains("10.50.0.2"), rest);
  }

  private static List<String> rules(HostSnapshot state) {
    return state.lines().stream().filter(line -> line.contains("\"rule\"")).toList();
  }

  @ParameterizedTest
  @CsvSource({"nftables,iptables", "iptables,nftables"})
  void backendIsChangedInOneTransaction(String before, String after) throws Exception {
    network(backend(before));
    Result result = cni().network("n").add(mapped(a, "TCP UDP"));
    host.serve(a, 80);
    tester(result, backend(before), backend(after), "TCP UDP", "TCP UDP").requireUndo();
    network(backend(after));
    cni().network("n").update(attachment(a).id(), AttachmentUpdate.NONE.withNetworkConfig());
    assertTrue(Probe.tcp(outside, HOST_V4, 8080).isPresent());
    String old = after.equals("iptables") ? "cni_hostport" : "nat";
    assertFalse(
        TestBed.run(host.netns(), "nft", "list table ip " + old).contains("dport 8080"), old);
    cni("portmap").network("n").check(mapped(a, "TCP UDP"));
    cni("portmap").network("n").delete(mapped(a, "TCP UDP"));
    assertFalse(TestBed.run(host.netns(), "nft", "list ruleset").contains("10.50.0.2"));
  }

  @Test
  void externalSetMarkChainReplacesOurOwn() throws Exception {
    TestBed.run(host.netns(), "iptables", "-t", "nat", "-N", "THEIRS");
    TestBed.run(host.netns(), "ip6tables", "-t", "nat", "-N", "THEIRS");
    network(backend("iptables"));
    cni().network("n").add(mapped(a, "TCP"));
    network(backend("iptables") + "\"externalSetMarkChain\": \"THEIRS\",");
    cni().network("n").update(attachment(a).id(), AttachmentUpdate.NONE.withNetworkConfig());
    String rules = TestBed.run(host.netns(), "iptables", "-t", "nat", "-S");
    assertTrue(rules.contains("--dport 8080 -j THEIRS"), rules);
    assertFalse(rules.contains("-j CNI-HOSTPORT-SETMARK"), rules);
    cni("portmap").network("n").check(mapped(a, "TCP"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"})
  void unchangedMappingsKeepTheirRules(String backend) throws Exception {
    network(backend(backend));
    cni().network("n").add(mapped(a, "TCP UDP"));
    cni().network("n").add(mapped(b, "OTHER"));
    String table = "ip " + (backend.equals("nftables") ? "cni_hostport" : "nat");
    Map<String, String> before = handles(table);
    cni().network("n").update(attachment(a).id(), ports("IP6 TCP SCTP UDP"));
    Map<String, String> after = handles(table);
    before.keySet().removeIf(rule -> rule.startsWith("CNI-HOSTPORT-DNAT")); // by protocol
    assertTrue(before.size() > 6, before::toString);
    before.forEach((rule, handle) -> assertEquals(handle, after.get(rule), rule));
    assertNotEquals(before.size(), after.size());
  }

  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"})
  void connectionsThroughUnchangedPortsStayAndThoseThroughRemovedOnesAreCut(String backend)
      throws Exception {
    network(backend(backend));
    String table = backend.equals("nftables") ? "cni_hostport" : "nat";
    String chain = backend.equals("nftables") ? "hostports" : "CNI-HOSTPORT-DNAT";
    String kept = "{ \"hostPort\": 8090, \"containerPort\": 90, \"protocol\": \"tcp\" } ";
    String dropped = "{ \"hostPort\": 8091, \"containerPort\": 91, \"protocol\": \"tcp\" } ";
    cni().network("n").add(mapped(a, kept + dropped));
    host.awaitAddresses();
    try (var stays = TrafficProbe.start(outside, a, 8090, 90, HOST_V4, HOST_V6);
        var ends = TrafficProbe.start(outside, a, 8091, 91, HOST_V4, HOST_V6)) {
      cni().network("n").update(attachment(a).id(), ports(kept + "TCP"));
      ends.requireCut();
      TestBed.run(host.netns(), "nft", "flush", "chain", "ip", table, chain);
      cni().network("n").repair(attachment(a).id());
      stays.requireNoLoss();
    }
    host.serve(a, 80);
    for (String address : List.of(HOST_V4, HOST_V6)) {
      assertTrue(Probe.tcp(outside, address, 8080).isPresent(), address);
    }
  }

  @Test
  void untranslatedUdpConnectionIsRedirectedAndOthersStay() throws Exception {
    network("");
    cni().network("n").add(mapped(a, "TCP"));
    host.serve(a, 80);
    TestBed.run(host.netns(), "nft", "add table ip track");
    TestBed.run(host.netns(), "nft", "add chain ip track c { type filter hook input priority 0; }");
    TestBed.run(host.netns(), "nft", "add rule ip track c ct state new counter");
    try (DatagramSocket client =
        outside.<DatagramSocket, IOException>call(() -> new DatagramSocket())) {
      assertFalse(Probe.udp(client, HOST_V4, 8080).isPresent()); // but creates a conntrack entry
      cni().network("n").update(attachment(a).id(), ports("TCP UDP"));
      assertTrue(Probe.udp(client, HOST_V4, 8080).isPresent());
      cni().network("n").update(attachment(a).id(), ports("TCP"));
      assertFalse(Probe.udp(client, HOST_V4, 8080).isPresent()); // its translation is forgotten
    }
  }

  @ParameterizedTest
  @CsvSource({"nftables,nftables", "nftables,iptables", "iptables,nftables", "iptables,iptables"})
  void portOfAnotherContainerIsRefused(String first, String second) throws Exception {
    network(backend(first));
    cni().network("n").add(mapped(a, "TCP UDP"));
    network(backend(second));
    Result result = cni().network("n").add(mapped(b, "OTHER"));
    HostSnapshot before = state();
    CniException e =
        assertThrows(
            CniException.class,
            () -> cni().network("n").update(attachment(b).id(), ports("OTHER TCP")));
    assertTrue(
        String.valueOf(e.getMessage())
            .contains(
                "host port 8080/tcp is already mapped to container " + attachment(a).containerId()),
        e::getMessage);
    state().requireEqual(before);
    assertEquals(Optional.of(result), cni().network("n").cachedResult(attachment(b).id()));
    e =
        assertThrows(
            CniException.class,
            () -> cni().network("n").update(attachment(b).id(), ports("TCP INNER")));
    assertTrue(String.valueOf(e.getMessage()).contains("mapped twice"), e::getMessage);
    state().requireEqual(before);
  }

  /** After another container has got the port, the rules cannot be restored. */
  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"})
  void lostRulesOfAPortThatAnotherContainerHasAreNotRestored(String backend) throws Exception {
    network(backend(backend));
    Result result = cni().network("n").add(mapped(a, "TCP"));
    TestBed.run(host.netns(), "nft", "flush", "ruleset");
    cni().network("n").add(mapped(b, "TCP"));
    HostSnapshot before = state();
    UpdateTester tester = tester(result, backend(backend), backend(backend), "TCP", "TCP");
    String finding = tester.check().orElseThrow();
    assertTrue(finding.contains("is already mapped to container"), finding);
    assertFalse(cni().network("n").repair(attachment(a).id()).unrepaired().isEmpty());
    state().requireEqual(before);
  }

  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"})
  void mappingsFollowTheAddressOfTheContainer(String backend) throws Exception {
    network(backend(backend));
    Result old = cni().network("n").add(mapped(a, "TCP UDP"));
    TestBed.run(a, "ip", "addr", "add", "10.50.0.77/24", "dev", "eth0");
    Result moved = moved(old);
    UpdateRequest before =
        UpdateRequests.unchanged(host, "n", mapped(a, "TCP UDP"), old, config(backend(backend)));
    UpdateRequest after =
        UpdateRequests.unchanged(host, "n", mapped(a, "TCP UDP"), moved, config(backend(backend)));
    var tester =
        new UpdateTester(
            new PortMapPlugin(), new UpdateRequest(before.current(), after.desired()), this::state);
    tester.requireUndo();
    tester.apply();
    host.serve(a, 80);
    assertTrue(Probe.tcp(outside, HOST_V4, 8080).isPresent());
    String rules = TestBed.run(host.netns(), "nft", "list", "ruleset");
    assertTrue(rules.contains("10.50.0.77") && !rules.contains("10.50.0.2:"), rules);
  }

  private static Result moved(Result old) {
    return old.withIps(
        old.ips().stream()
            .map(
                ip ->
                    ip.address().isV4()
                        ? new Result.IpConfig(
                            Cidr.parse("10.50.0.77/24"), ip.gateway(), ip.interfaceIndex())
                        : ip)
            .toList());
  }

  @Test
  void conditionsThatOtherNetworksShareAreNotReplaced() throws Exception {
    network(backend("nftables"));
    Result result = cni().network("n").add(mapped(a, "TCP"));
    host.network(
        "m",
        "1.1.0",
        TestHost.DUAL_STACK.formatted("").replace("br0", "br1").replace("50", "51"),
        config(backend("nftables")));
    cni().network("m").add(mapped(b, "OTHER"));
    HostSnapshot before = state();
    String conditions = backend("nftables") + "\"conditionsV4\": [\"iifname != dummy\"],";
    List<String> findings = tester(result, backend("nftables"), conditions, "TCP", "TCP").compare();
    assertTrue(findings.toString().contains("containers of other networks"), findings::toString);
    state().requireEqual(before);
  }

  /** Rules that the reference plugin made, without owners, are repaired and changed as well. */
  @ParameterizedTest
  @ValueSource(strings = {"nftables", "iptables"})
  void attachmentOfTheReferencePluginIsRepairedAndUpdated(String backend) throws Exception {
    network(backend(backend));
    Result result = cni("portmap").network("n").add(mapped(a, "TCP UDP"));
    UpdateTester tester =
        tester(result, backend(backend), backend(backend), "TCP UDP", "TCP OTHER");
    assertEquals(Optional.empty(), tester.check());
    String table = "ip " + (backend.equals("nftables") ? "cni_hostport" : "nat");
    Map<String, String> before = handles(table);
    tester.requireUndo();
    tester.apply();
    Map<String, String> after = handles(table);
    before.keySet().removeIf(rule -> rule.contains("udp") || rule.startsWith("CNI-HOSTPORT-DNAT"));
    before.forEach((rule, handle) -> assertEquals(handle, after.get(rule), rule));
    assertFalse(after.keySet().stream().anyMatch(rule -> rule.contains("udp")), after::toString);
    cni("portmap").network("n").check(mapped(a, "TCP OTHER"));
    cni("portmap").network("n").delete(mapped(a, "TCP OTHER"));
    assertFalse(TestBed.run(host.netns(), "nft", "list ruleset").contains("10.50.0.2:"));
  }
}
