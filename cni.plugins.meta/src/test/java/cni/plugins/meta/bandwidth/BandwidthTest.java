// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.bandwidth;

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
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/**
 * The bandwidth plugin: measured rates, and qdiscs and filters compared with those of the reference
 * plugin.
 */
@KernelTest(
    commands = {"tc", "iperf3"},
    reference = true)
class BandwidthTest {
  private static final int MBIT = 1_000_000;

  private final TestHost host;
  private final NetNs a;
  private final NetNs outside;

  BandwidthTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    outside = host.outside();
    TestBed.run(outside, "ip", "route", "add", "10.50.0.0/24", "via", TestHost.HOST_V4);
    TestBed.run(outside, "ip", "route", "add", "fd50::/64", "via", TestHost.HOST_V6);
  }

  private Cni cni(String... executables) {
    return host.withReference(executables);
  }

  private void network(String limits) throws IOException {
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted(""),
        "{ \"type\": \"bandwidth\"" + limits + " }");
  }

  private static String ratesOf(int mbit) {
    long rate = (long) mbit * MBIT;
    return ", \"ingressRate\": %d, \"ingressBurst\": %d, \"egressRate\": %d, \"egressBurst\": %d"
        .formatted(rate, rate / 20, rate, rate / 20);
  }

  /** Returns the TCP throughput from a client to a server, in Mbit/s. */
  private static double measureMbit(NetNs client, NetNs server, String address) throws Exception {
    var command = new ProcessBuilder("iperf3", "-s", "-1");
    command.redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD);
    Process serving = server.<Process, IOException>call(command::start);
    try {
      while (!TestBed.run(server, "ss", "-ltn").contains(":5201 ")) {
        assertTrue(serving.isAlive(), "the iperf3 server has ended");
        Thread.sleep(20);
      }
      String text = TestBed.run(client, "iperf3", "-J", "-t", "2", "-O", "1", "-c", address);
      JsonNode received =
          Json.parse(text.getBytes(StandardCharsets.UTF_8), "iperf3")
              .path("end")
              .path("sum_received")
              .path("bits_per_second");
      assertTrue(received.isNumber(), text);
      assertEquals(0, serving.waitFor()); // -1: ends after one client
      return received.doubleValue() / MBIT;
    } finally {
      serving.destroyForcibly().waitFor();
    }
  }

  private static void assertNear(int expected, double measured) {
    assertTrue(
        Math.abs(measured - expected) <= 0.15 * expected,
        expected + " Mbit/s expected, measured " + measured);
  }

  @ParameterizedTest
  @ValueSource(ints = {10, 100, 500})
  void bothDirectionsAreLimitedToTheConfiguredRate(int mbit) throws Exception {
    network(ratesOf(mbit));
    Result result = cni().network("n").add(attachment(a));
    assertTrue(result.interfaces().getLast().name().startsWith("bwp"));
    host.awaitAddresses();
    assertNear(mbit, measureMbit(a, outside, TestHost.OUTSIDE_V4));
    assertNear(mbit, measureMbit(outside, a, "10.50.0.2"));
    assertNear(mbit, measureMbit(outside, a, "fd50::2"));
    cni().network("n").check(attachment(a));
    cni().network("n").delete(attachment(a));
    cni().network("n").delete(attachment(a));
    assertEquals(List.of(), TestBed.linkNames(host.netns(), "ifb"));
    host.assertNothingLeft("n", a);
  }

  @Test
  void ratesFromRuntimeConfigAreApplied() throws Exception {
    network(", \"capabilities\": { \"bandwidth\": true }");
    Attachment limited = attachment(a, "bandwidth", "{" + ratesOf(10).substring(1) + "}");
    cni().network("n").add(limited);
    assertNear(10, measureMbit(a, outside, TestHost.OUTSIDE_V4));
    cni().network("n").delete(limited);
    cni().network("n").add(attachment(a)); // without a rate there is no limit
    assertEquals(List.of(), TestBed.linkNames(host.netns(), "ifb"));
    assertTrue(measureMbit(a, outside, TestHost.OUTSIDE_V4) > 100);
  }

  @ParameterizedTest
  @CsvSource({"shapedSubnets,192.0.2.9/32", "unshapedSubnets,192.0.2.2/32"})
  void onlyConfiguredSubnetsAreShapedOrExempt(String key, String subnet) throws Exception {
    TestBed.run(outside, "ip", "addr", "add", "192.0.2.9/24", "dev", "up1");
    network(ratesOf(10) + ", \"%s\": [\"%s\", \"2001:db8::9/128\"]".formatted(key, subnet));
    cni().network("n").add(attachment(a));
    assertNear(10, measureMbit(a, outside, "192.0.2.9"));
    assertTrue(measureMbit(a, outside, TestHost.OUTSIDE_V4) > 100);
    TestBed.run(
        outside,
        "ip",
        "route",
        "change",
        "10.50.0.0/24",
        "via",
        TestHost.HOST_V4,
        "src",
        "192.0.2.9");
    assertNear(10, measureMbit(outside, a, "10.50.0.2"));
    cni().network("n").check(attachment(a));
    cni().network("n").delete(attachment(a));
    assertEquals(List.of(), TestBed.linkNames(host.netns(), "ifb"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"both", "ingress", "egress"})
  void qdiscsAndFiltersEqualTheReferencePlugins(String direction) throws Exception {
    String limits =
        switch (direction) {
          case "ingress" -> ", \"ingressRate\": 123456789, \"ingressBurst\": 999999";
          case "egress" -> ", \"egressRate\": 40000000000, \"egressBurst\": 2147483647";
          default -> ratesOf(20);
        };
    network(limits);
    Result theirs = cni("bandwidth").network("n").add(attachment(a));
    String theirState = state();
    cni().network("n").check(attachment(a));
    cni().network("n").delete(attachment(a)); // deletes what the reference plugin created
    assertEquals(List.of(), TestBed.linkNames(host.netns(), "ifb"));
    host.deleteReservations("n");

    Result ours = cni().network("n").add(attachment(a));
    assertEquals(theirState, state());
    assertEquals(theirs.interfaces().size(), ours.interfaces().size());
    assertEquals(
        theirs.interfaces().getLast().name().replaceFirst("veth.*", ""),
        ours.interfaces().getLast().name().replaceFirst("veth.*", ""));
    cni("bandwidth").network("n").check(attachment(a));
    cni("bandwidth").network("n").delete(attachment(a)); // and the reverse
    assertEquals(List.of(), TestBed.linkNames(host.netns(), "ifb"));
  }

  private String port() throws IOException {
    return TestBed.linkNames(host.netns(), "veth").stream()
        .filter(it -> it.startsWith("veth"))
        .findFirst()
        .orElseThrow();
  }

  /** Returns the host's qdiscs and filters as printed by tc, without varying names and numbers. */
  private String state() throws IOException {
    String port = port();
    String filters =
        TestBed.run(host.netns(), "tc", "-j", "filter", "show", "dev", port, "ingress");
    return (TestBed.run(host.netns(), "tc", "-j", "qdisc") + filters)
        .replace(port, "port")
        .replaceAll("\"index\":\\d+", "\"index\":0");
  }

  @Test
  void checkFailsOnMissingQdiscAndGcRemovesStaleIfb() throws Exception {
    network(ratesOf(20));
    cni().network("n").add(attachment(a));
    for (String change :
        List.of(
            "tc qdisc del dev PORT ingress",
            "tc qdisc del dev IFB root",
            "tc qdisc del dev PORT root",
            "ip link del IFB")) {
      String ifb = TestBed.linkNames(host.netns(), "ifb").getFirst();
      cni().network("n").check(attachment(a));
      TestBed.run(host.netns(), change.replace("PORT", port()).replace("IFB", ifb).split(" ", -1));
      assertThrows(CniException.class, () -> cni().network("n").check(attachment(a)), change);
      cni().network("n").delete(attachment(a));
      cni().network("n").add(attachment(a));
    }
    host.deleteResults();
    cni().network("n").gc(Set.of(attachment(a).id()));
    assertEquals(1, TestBed.linkNames(host.netns(), "ifb").size());
    cni().network("n").gc(Set.of());
    assertEquals(List.of(), TestBed.linkNames(host.netns(), "ifb"));
  }

  @Test
  void deleteSucceedsWithInvalidConfig() throws Exception {
    host.network(
        "n",
        "1.0.0",
        TestHost.DUAL_STACK.formatted(""),
        "{ \"type\": \"bandwidth\"" + ratesOf(20) + " }");
    cni().network("n").add(attachment(a));
    assertEquals(1, TestBed.linkNames(host.netns(), "ifb").size());
    host.network(
        "n",
        "1.0.0",
        TestHost.DUAL_STACK.formatted(""),
        "{ \"type\": \"bandwidth\", \"ingressRate\": \"fast\" }");
    cni().network("n").delete(attachment(a));
    assertEquals(List.of(), TestBed.linkNames(host.netns(), "ifb"));
    host.assertNothingLeft("n", a);
  }

  @Test
  void failedAddKeepsQdiscsItDidNotCreate() throws Exception {
    String peer = String.valueOf(a.path().getFileName());
    TestBed.run(
        host.netns(), ("ip link add port0 type veth peer name eth0 netns " + peer).split(" ", -1));
    host.script(
        "maker",
        "[ $CNI_COMMAND = ADD ] || exit 0\necho '{\"cniVersion\":\"1.0.0\",\"interfaces\":["
            + "{\"name\":\"port0\"},{\"name\":\"eth0\",\"sandbox\":\""
            + a.path()
            + "\"}]}'");
    String limits = "{ \"type\": \"bandwidth\"" + ratesOf(20) + " }";
    host.network("n", "1.0.0", "{ \"type\": \"maker\" }", limits);
    try (Cni cni = host.openCni()) {
      cni.network("n").add(attachment(a));
      String limited = qdiscs();
      host.deleteResults();
      assertThrows(CniException.class, () -> cni.network("n").add(attachment(a)));
      assertEquals(limited, qdiscs()); // those of the first ADD are kept
      cni.network("n").delete(attachment(a));
      assertFalse(
          qdiscs().contains("tbf") || qdiscs().contains("ingress"),
          "DEL removes the qdiscs of ADD");
      TestBed.run(host.netns(), "tc", "qdisc", "add", "dev", "port0", "ingress");
      String foreign = qdiscs();
      assertThrows(CniException.class, () -> cni.network("n").add(attachment(a)));
      assertEquals(foreign, qdiscs());
    }
  }

  private String qdiscs() throws IOException {
    return TestBed.run(host.netns(), "tc", "qdisc") + TestBed.linkNames(host.netns(), "ifb");
  }

  @Test
  void twoInterfacesOfOneContainerHaveSeparateIfbs() throws Exception {
    network(ratesOf(20));
    Attachment first = attachment(a);
    var id = new AttachmentId(first.containerId(), "eth1");
    Attachment second = new Attachment(id, first.namespace(), Map.of(), Map.of());
    cni().network("n").add(first);
    cni().network("n").add(second);
    assertEquals(2, TestBed.linkNames(host.netns(), "ifb").size());
    cni().network("n").check(first);
    cni().network("n").check(second);
    cni().network("n").delete(first);
    cni().network("n").check(second);
    cni().network("n").delete(second);
    assertEquals(List.of(), TestBed.linkNames(host.netns(), "ifb"));
    host.assertNothingLeft("n", a);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"ingressRate\": 1000|ingressBurst",
        "\"egressBurst\": 1000|egressRate",
        "\"egressRate\": 7, \"egressBurst\": 8|egressRate",
        "\"egressRate\": -1, \"egressBurst\": 8|egressRate",
        "\"egressRate\": 1000, \"egressBurst\": 34359738360|egressBurst",
        "\"egressRate\": 1000, \"egressBurst\": 8, \"shapedSubnets\": [\"x\"]|shapedSubnets[0]",
        "\"shapedSubnets\": [\"10.0.0.0/8\"], \"unshapedSubnets\": [\"10.0.0.0/8\"]|choose one",
      })
  void invalidConfigIsRefused(String limits, String words) throws Exception {
    network(", " + limits);
    CniException e = assertThrows(CniException.class, () -> cni().network("n").add(attachment(a)));
    assertTrue(String.valueOf(e.getMessage()).contains(words), e::getMessage);
    host.assertNothingLeft("n", a);
  }
}
