// SPDX-License-Identifier: Apache-2.0
package cni.doctor.metrics;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.doctor.traffic.TrafficSampler;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Metrics of attachments through which real packets pass. */
@KernelTest(commands = "ping")
class TrafficMetricsTest {
  private final TestHost host;

  TrafficMetricsTest(TestHost host) {
    this.host = host;
  }

  private List<ExpositionParser.Sample> scrape(Cni cni) throws Exception {
    var text = new MetricsText();
    var sampler = new TrafficSampler(cni, Optional.of(host.netns().path()), _ -> true);
    TrafficMetrics.write(sampler.sample(), text);
    return ExpositionParser.parse(text.toString());
  }

  private static double value(
      List<ExpositionParser.Sample> samples, String name, Map<String, String> labels) {
    return samples.stream()
        .filter(it -> it.name().equals(name) && it.labels().equals(labels))
        .findFirst()
        .orElseThrow(() -> new AssertionError(name + labels + " is not in " + samples))
        .value();
  }

  @Test
  void countersStatesAndPoolsAreThoseOfTheHost() throws Exception {
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted(""),
        "{ \"type\": \"bandwidth\", \"egressRate\": 8000000, \"egressBurst\": 8000000 }");
    NetNs a = host.container("a");
    NetNs b = host.container("b");
    try (Cni cni = host.openCni()) {
      cni.network("n").add(TestHost.attachment(a));
      cni.network("n").add(TestHost.attachment(b));
      host.awaitAddresses();
      TestBed.run(b, "ip", "link", "del", "eth0");
      var labels = Map.of("network", "n", "container", TestBed.nameOf(a), "interface", "eth0");
      String bytes = "cni_attachment_transmit_bytes_total";
      double before = value(scrape(cni), bytes, labels);
      TestBed.run(a, "ping", "-c", "10", "-i", "0.01", "-s", "1000", "10.50.0.1");
      List<ExpositionParser.Sample> after = scrape(cni);
      double sent = value(after, bytes, labels) - before;
      assertTrue(sent >= 10 * 1042 && sent < 12 * 1042, sent + " bytes");
      assertEquals(1, value(after, "cni_attachments", Map.of("network", "n", "state", "present")));
      assertEquals(
          1, value(after, "cni_attachments", Map.of("network", "n", "state", "interface_gone")));
      assertEquals(
          8e6,
          value(
              after,
              "cni_attachment_limit_bits_per_second",
              Map.of(
                  "network",
                  "n",
                  "container",
                  TestBed.nameOf(a),
                  "interface",
                  "eth0",
                  "direction",
                  "egress")));
      var pool = Map.of("network", "n", "range", "10.50.0.1-10.50.0.254");
      assertEquals(253, value(after, "cni_pool_addresses", pool));
      assertEquals(2, value(after, "cni_pool_addresses_used", pool));
      assertEquals(
          1, after.stream().filter(it -> it.name().equals(bytes)).count(), "b has no interface");
    }
  }
}
