// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.api.Attachment;
import cni.api.Result;
import cni.bench.ComparisonTable.Goal;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Network;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.net.InetAddress;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Measures the traffic of containers that many policies select, in turn with that of containers
 * without policies; each on a host of its own.
 */
final class PolicyTraffic {
  private static final int ROUNDS = 15;
  private static final long NANOS = 300_000_000;
  private static final int PORT = 80;
  private static final int FEW = 10;
  private static final int MANY = 1_000;
  private static final double GIGABIT = 125_000_000;

  /** How much of the throughput there must be. */
  private static final double MIN_SHARE = 0.95;

  private static final List<String> HOSTS =
      List.of(
          "without the plugin",
          "no policy selects it",
          FEW + " policies select it",
          MANY + " policies select it");

  private final ComparisonTable table;

  PolicyTraffic(ComparisonTable table) {
    this.table = table;
  }

  /** One kind of traffic of a host. */
  private interface Measurement {
    double run(Path path) throws Exception;
  }

  /** Where connections lead on one host. */
  private record Path(TcpLoad bridgeV4, TcpLoad bridgeV6, TcpLoad outside) {}

  void run() throws Exception {
    try (var without = new PolicyFixture();
        var none = new PolicyFixture();
        var few = new PolicyFixture();
        var many = new PolicyFixture()) {
      few.apply(selecting(FEW));
      many.apply(selecting(MANY));
      List<Path> paths =
          List.of(
              path(without, PolicyFixture.FREE),
              path(none, PolicyFixture.RESTRICTED),
              path(few, PolicyFixture.RESTRICTED),
              path(many, PolicyFixture.RESTRICTED));
      measure("stream over a bridge, IPv4", "Gbit/s", paths, it -> it.bridgeV4.stream(NANOS));
      measure("stream over a bridge, IPv6", "Gbit/s", paths, it -> it.bridgeV6.stream(NANOS));
      measure("stream from outside", "Gbit/s", paths, it -> it.outside.stream(NANOS));
      measure("connections over a bridge", "1/s", paths, it -> it.bridgeV4.connections(NANOS));
      measure("connections from outside", "1/s", paths, it -> it.outside.connections(NANOS));
    }
  }

  /** Returns policies all of which select both containers; the last one allows the connection. */
  private static Map<String, String> selecting(int count) {
    Map<String, String> files = new HashMap<>();
    for (int i = 0; i < count; i++) {
      String port = "\"port\": " + (i == count - 1 ? PORT : 1_000 + i);
      files.put(
          "policy-" + i,
          """
          { "name": "policy-%d", "podSelector": { "matchLabels": { "app": "web" } },
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
              { "from": [{ "podSelector": {} }], "ports": [{ %s }] },
              { "from": [{ "ipBlock": { "cidr": "192.0.2.0/24" } }], "ports": [{ %s }] } ],
            "egress": [ { "to": [{ "podSelector": {} }], "ports": [{ %s }] } ] }
          """
              .formatted(i, port, port, port));
    }
    return files;
  }

  private static Path path(PolicyFixture fixture, String name) throws Exception {
    Network network = fixture.network(name);
    NetNs outside = fixture.host().outside();
    TestBed.run(outside, "ip", "route", "replace", "default", "via", TestHost.HOST_V4);
    NetNs client = fixture.host().container("client");
    NetNs server = fixture.host().container("server");
    network.add(attachment(client));
    List<InetAddress> addresses = addresses(network.add(attachment(server)));
    fixture.host().awaitAddresses();
    return new Path(
        TcpLoad.of(client, server, addresses.getFirst(), PORT),
        TcpLoad.of(client, server, addresses.getLast(), PORT),
        TcpLoad.of(outside, server, addresses.getFirst(), PORT));
  }

  private static Attachment attachment(NetNs container) {
    return PolicyFixture.attachment(container, Map.of("app", "web"));
  }

  private static List<InetAddress> addresses(Result result) {
    return result.ips().stream().map(it -> it.address().address()).toList();
  }

  private void measure(String label, String unit, List<Path> paths, Measurement measurement)
      throws Exception {
    double[][] rates = new double[paths.size()][ROUNDS];
    for (int round = -1; round < ROUNDS; round++) {
      for (int i = 0; i < paths.size(); i++) {
        rates[i][Math.max(round, 0)] = measurement.run(paths.get(i));
      }
    }
    double divisor = unit.startsWith("G") ? GIGABIT : 1;
    double[] medians = Arrays.stream(rates).mapToDouble(PolicyTraffic::median).toArray();
    for (int i = 0; i < medians.length; i++) {
      table.addRow(
          label + ", " + HOSTS.get(i),
          List.of(
              ComparisonTable.number(medians[i] / divisor) + " " + unit,
              ComparisonTable.number(medians[i] / medians[1])),
          "share",
          medians[i] / medians[0],
          Goal.atLeast(MIN_SHARE));
    }
  }

  private static double median(double... values) {
    double[] sorted = Arrays.stream(values).sorted().toArray();
    return sorted[sorted.length / 2];
  }
}
