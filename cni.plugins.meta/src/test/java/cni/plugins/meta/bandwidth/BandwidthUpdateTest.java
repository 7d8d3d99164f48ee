// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.bandwidth;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Json;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.meta.UpdateRequests;
import cni.runtime.AttachmentUpdate;
import cni.runtime.Cni;
import cni.runtime.UpdateReport;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import cni.testing.TrafficProbe;
import cni.testing.UpdateTester;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Repair and update of bandwidth limits: qdiscs are as after a new ADD, and no packet is lost. */
@KernelTest(
    commands = {"tc"},
    reference = true)
class BandwidthUpdateTest {
  private static final String INGRESS = ", \"ingressRate\": 20000000, \"ingressBurst\": 1000000";
  private static final String EGRESS = ", \"egressRate\": 30000000, \"egressBurst\": 1500000";
  private static final String SHAPED = ", \"shapedSubnets\": [\"192.0.2.9/32\", \"fd50::/64\"]";
  private static final String EXEMPT = ", \"unshapedSubnets\": [\"192.0.2.9/32\", \"fd51::/64\"]";

  private final TestHost host;
  private final NetNs a;

  BandwidthUpdateTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
  }

  /** Replaces the words by which parameters name configurations. */
  private static String config(String words) {
    return ("{ \"type\": \"bandwidth\" " + words + " }")
        .replace("BOTH", "INGRESS EGRESS")
        .replace("INGRESS", INGRESS)
        .replace("EGRESS", EGRESS)
        .replace("SHAPED", SHAPED)
        .replace("EXEMPT", EXEMPT)
        .replace("NONE", "");
  }

  private void network(String words) throws IOException {
    host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted(""), config(words));
  }

  private Cni cni(String... executables) {
    return host.withReference(executables);
  }

  /** Returns the state of the host without the numbers of actions, filters and hash tables. */
  private HostSnapshot state() throws IOException, CniException {
    List<String> lines = new ArrayList<>();
    for (String line : HostSnapshot.of(host.netns()).lines()) {
      if (!line.matches(".*(: index \\d+|ht divisor 1|Peer netns reference .*)")) {
        lines.add(line.replaceAll(" fh \\w+::\\w+ order \\d+ key ht \\w+ ", " "));
      }
    }
    return new HostSnapshot(lines);
  }

  private String port() throws IOException {
    return TestBed.linkNames(host.netns(), "veth").getFirst();
  }

  private List<String> ifbs() throws IOException {
    return TestBed.linkNames(host.netns(), "ifb");
  }

  private void run(String command) throws IOException {
    String ifb = ifbs().isEmpty() ? "none" : ifbs().getFirst();
    TestBed.run(host.netns(), command.replace("PORT", port()).replace("IFB", ifb).split(" ", -1));
  }

  private UpdateTester tester(Result result, String current, String desired) throws Exception {
    return new UpdateTester(
        new BandwidthPlugin(),
        UpdateRequests.of(host, "n", attachment(a), result, config(current), config(desired)),
        this::state);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "BOTH|tc qdisc del dev PORT root",
        "BOTH|tc qdisc del dev PORT ingress",
        "BOTH|tc filter del dev PORT ingress",
        "BOTH|tc qdisc del dev IFB root",
        "BOTH|ip link del IFB",
        "BOTH|ip link set IFB down",
        "BOTH|tc qdisc change dev PORT root handle 1: tbf rate 1mbit burst 10k latency 10ms",
        "BOTH|tc qdisc change dev IFB root handle 1: tbf rate 1mbit burst 10k latency 10ms",
        "EGRESS|tc qdisc del dev IFB root",
        "BOTH SHAPED|tc qdisc del dev PORT root",
        "BOTH SHAPED|tc qdisc del dev IFB root",
        "BOTH SHAPED|ip link del IFB",
        "BOTH SHAPED|tc filter del dev PORT prio 15",
        "BOTH EXEMPT|tc filter del dev IFB",
        "BOTH EXEMPT|tc class change dev PORT classid 1:30 htb rate 1mbit",
      })
  void damageIsRepairedAndTheRepairCanBeUndone(String words, String damage) throws Exception {
    network(words);
    Result result = cni().network("n").add(attachment(a));
    HostSnapshot whole = state();
    UpdateTester tester = tester(result, words, words);
    assertEquals(List.of(), tester.compare());
    run(damage);
    assertTrue(tester.check().isPresent(), damage);
    tester.requireUndo();
    assertEquals(result, tester.apply());
    state().requireEqual(whole);
    run(damage);
    assertFalse(cni().network("n").repair(attachment(a).id()).steps().isEmpty());
    state().requireEqual(whole);
    cni("bandwidth").network("n").check(attachment(a));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "BOTH|INGRESS EGRESS2",
        "BOTH|INGRESS2 EGRESS",
        "BOTH|INGRESS",
        "BOTH|EGRESS",
        "BOTH|NONE",
        "NONE|BOTH",
        "INGRESS|EGRESS",
        "EGRESS|INGRESS",
        "BOTH|BOTH SHAPED",
        "BOTH SHAPED|BOTH",
        "BOTH SHAPED|BOTH EXEMPT",
        "BOTH SHAPED|BOTH SHAPED2",
        "BOTH SHAPED2|BOTH SHAPED",
        "BOTH SHAPED|INGRESS2 EGRESS2 SHAPED",
        "BOTH EXEMPT|NONE",
        "NONE|BOTH EXEMPT",
      })
  void updateLeavesTheStateOfANewAdd(String before, String after) throws Exception {
    String current = second(before);
    String desired = second(after);
    network(desired);
    Result fresh = cni().network("n").add(attachment(a));
    HostSnapshot expected = state().withoutRandomNames();
    cni().network("n").delete(attachment(a));
    host.deleteReservations("n");
    network(current);
    Result result = cni().network("n").add(attachment(a));

    tester(result, current, desired).requireUndo();
    network(desired);
    UpdateReport report =
        cni().network("n").update(attachment(a).id(), AttachmentUpdate.NONE.withNetworkConfig());
    assertFalse(report.steps().isEmpty());
    state().withoutRandomNames().requireEqual(expected);
    cni().network("n").check(attachment(a));
    assertEquals(names(fresh), names(cachedResult()));
    cni("bandwidth").network("n").check(attachment(a));
    cni("bandwidth").network("n").delete(attachment(a));
    assertEquals(List.of(), ifbs());
    host.assertNothingLeft("n", a);
  }

  /** Replaces the words for other limits. */
  private static String second(String words) {
    return words
        .replace("INGRESS2", ", \"ingressRate\": 40000000000, \"ingressBurst\": 9000000")
        .replace("EGRESS2", ", \"egressRate\": 1000000, \"egressBurst\": 90000")
        .replace("SHAPED2", ", \"shapedSubnets\": [\"fd50::/64\", \"10.0.0.0/8\", \"fd9::/16\"]");
  }

  private static List<String> names(Result result) {
    return result.interfaces().stream()
        .map(it -> it.name().replaceFirst("veth.*", "veth"))
        .toList();
  }

  private Result cachedResult() throws Exception {
    return cni().network("n").cachedResult(attachment(a).id()).orElseThrow();
  }

  @ParameterizedTest
  @ValueSource(strings = {"BOTH", "INGRESS", "EGRESS"})
  void limitsOfTheReferencePluginAreAcceptedRepairedAndChanged(String words) throws Exception {
    network(words);
    Result result = cni("bandwidth").network("n").add(attachment(a));
    HostSnapshot whole = state();
    assertEquals(List.of(), tester(result, words, words).compare());
    run(words.equals("INGRESS") ? "tc qdisc del dev PORT root" : "ip link del IFB");
    tester(result, words, words).requireUndo();
    assertEquals(result, tester(result, words, words).apply());
    withoutAlias(state()).requireEqual(withoutAlias(whole));
    String desired = second("INGRESS2 EGRESS2");
    tester(result, words, desired).requireUndo();
    network("NONE");
    cni().network("n").update(attachment(a).id(), AttachmentUpdate.NONE.withNetworkConfig());
    assertEquals(List.of(), ifbs());
    cni("bandwidth").network("n").delete(attachment(a));
    host.assertNothingLeft("n", a);
  }

  /** The reference plugin gives its devices no alias. */
  private static HostSnapshot withoutAlias(HostSnapshot state) {
    return new HostSnapshot(
        state.lines().stream().map(it -> it.replaceAll(",\"ifalias\":\"[^\"]*\"", "")).toList());
  }

  @Test
  void capabilityArgumentIsChangedInPlace() throws Exception {
    network(", \"capabilities\": { \"bandwidth\": true }");
    cni().network("n").add(attachment(a, "bandwidth", "{ " + INGRESS.substring(1) + "}"));
    JsonNode limits = Json.parse("{ \"ingressRate\": 8000000, \"ingressBurst\": 80000 }", "limits");
    cni()
        .network("n")
        .update(attachment(a).id(), AttachmentUpdate.NONE.withCapabilityArg("bandwidth", limits));
    String shown = TestBed.run(host.netns(), "tc", "qdisc", "show", "dev", port());
    assertTrue(shown.contains("rate 8Mbit"), shown);
    cni()
        .network("n")
        .update(attachment(a).id(), AttachmentUpdate.NONE.withoutCapabilityArg("bandwidth"));
    shown = TestBed.run(host.netns(), "tc", "qdisc", "show", "dev", port());
    assertFalse(shown.contains("tbf"), shown);
    cni().network("n").check(attachment(a));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "BOTH|INGRESS EGRESS2",
        "BOTH SHAPED|INGRESS2 EGRESS2 SHAPED2",
      })
  void trafficIsNotInterrupted(String before, String after) throws Exception {
    assertSurvives(before, after, TrafficProbe::requireNoLoss);
  }

  /**
   * The kernel drops packets that are sent while it replaces the root or ingress qdisc of a link
   * (qdisc_graft in net/sched/sch_api.c deactivates the link): pings may be lost.
   */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {"BOTH|NONE", "BOTH|BOTH EXEMPT", "BOTH SHAPED|BOTH EXEMPT"})
  void streamsSurviveTheReplacementOfAQdisc(String before, String after) throws Exception {
    assertSurvives(before, after, TrafficProbe::requireNoByteLost);
  }

  private void assertSurvives(String before, String after, Consumer<TrafficProbe> requirement)
      throws Exception {
    network(second(before));
    cni().network("n").add(attachment(a));
    host.awaitAddresses();
    try (var probe = TrafficProbe.start(host.netns(), a, "10.50.0.2", "fd50::2")) {
      for (String next : List.of(after, before)) {
        network(second(next));
        cni().network("n").update(attachment(a).id(), AttachmentUpdate.NONE.withNetworkConfig());
      }
      requirement.accept(probe);
    }
  }

  @Test
  void qdiscOfAnotherToolStays() throws Exception {
    network("BOTH");
    Result result = cni().network("n").add(attachment(a));
    run("tc qdisc replace dev PORT root handle 7: pfifo limit 100");
    run("tc qdisc del dev PORT ingress");
    HostSnapshot before = state();
    UpdateReport report = cni().network("n").planRepair(attachment(a).id());
    assertEquals(1, report.unrepaired().size(), report::toString);
    assertTrue(report.unrepaired().getFirst().finding().contains("has qdisc pfifo, expected tbf"));
    state().requireEqual(before);
    assertEquals(
        "Optional[interface " + port() + " has qdisc pfifo, expected tbf; ",
        tester(result, "BOTH", "BOTH").check().toString().replaceFirst("no filter.*", ""));
  }
}
