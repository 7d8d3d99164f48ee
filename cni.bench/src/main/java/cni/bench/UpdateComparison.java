// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Json;
import cni.bench.BenchNetworks.Chain;
import cni.bench.BenchNetworks.Implementation;
import cni.bench.ComparisonTable.Goal;
import cni.runtime.AttachmentUpdate;
import cni.runtime.Network;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.IntNode;

/**
 * Compares updates and repairs in one process with what they replace: DEL and ADD of the same
 * chain, and CHECK.
 */
final class UpdateComparison {
  private static final int WARM_UP = 300;
  private static final int SAMPLES = 500;

  /** Longer than the kernel's grace periods. */
  private static final int PAUSE_MILLIS = 60;

  /** The attachments of one network that are updated one after the other. */
  private static final int ATTACHMENTS = 1_000;

  private static final double MAX_MILLIS = 3;
  private static final double MAX_SECONDS_FOR_ALL = 3;

  private final BenchNetworks networks;
  private final ComparisonTable table;

  UpdateComparison(BenchNetworks networks, ComparisonTable table) {
    this.networks = networks;
    this.table = table;
  }

  void run() throws Exception {
    Network network = networks.network(Implementation.MODULES, Chain.POD);
    Attachment attachment = networks.attachment(network, 0);
    network.add(attachment);
    double add =
        measure(
            _ -> {
              network.delete(attachment);
              network.add(attachment);
            });
    double check = measure(_ -> network.check(attachment));
    PortTimings ports = measurePorts(network, attachment);
    double limit = measure(i -> network.update(attachment.id(), limit(i)));
    double repair = measure(_ -> network.repair(attachment.id()));
    network.delete(attachment);
    addRow("one port mapping more", ports.added().medianMillis(), add);
    table.addRow(
        "one port mapping less: its connections are cut",
        List.of(ComparisonTable.millis(ports.removed().medianMillis())));
    addRow("one bandwidth", limit, add);
    table.addRow("DEL and ADD of the same chain", List.of(ComparisonTable.millis(add)));
    table.addRow(
        "repair that finds nothing; CHECK " + ComparisonTable.millis(check),
        List.of(ComparisonTable.millis(repair)),
        "repair / CHECK",
        repair / check,
        Goal.atMost(1.1));
    measureAll();
  }

  private record PortTimings(Timings added, Timings removed) {}

  /**
   * Measures updates that do not follow each other at once: a rule of iptables is not added before
   * the kernel has freed those that were deleted last (nft_target_init), for which it waits.
   */
  private static PortTimings measurePorts(Network network, Attachment attachment) throws Exception {
    AttachmentUpdate more = portMappings(BenchNetworks.FIRST_PORT, BenchNetworks.FIRST_PORT + 500);
    AttachmentUpdate less = portMappings(BenchNetworks.FIRST_PORT);
    network.update(attachment.id(), less);
    long[] added = new long[SAMPLES];
    long[] removed = new long[SAMPLES];
    for (int i = -WARM_UP; i < SAMPLES; i++) {
      added[Math.max(i, 0)] = timeAfterPause(() -> network.update(attachment.id(), more));
      removed[Math.max(i, 0)] = timeAfterPause(() -> network.update(attachment.id(), less));
    }
    return new PortTimings(Timings.of(added), Timings.of(removed));
  }

  private static long timeAfterPause(Callable<?> operation) throws Exception {
    Thread.sleep(PAUSE_MILLIS);
    long start = System.nanoTime();
    var _ = operation.call();
    return System.nanoTime() - start;
  }

  private static double measure(Timings.Operation operation) throws Exception {
    Timings.measure(WARM_UP, operation);
    return Timings.measure(SAMPLES, operation).medianMillis();
  }

  private void addRow(String label, double millis, double add) {
    String values = ComparisonTable.millis(millis);
    table.addRow(
        "%s, %.0f times faster than DEL and ADD".formatted(label, add / millis),
        List.of(values),
        "ms",
        millis,
        Goal.atMost(MAX_MILLIS));
  }

  /** Updates every attachment of a network; several are in one container. */
  private void measureAll() throws Exception {
    Network network = networks.network(Implementation.MODULES, Chain.BRIDGE);
    List<Attachment> attachments = new ArrayList<>();
    for (int i = 0; i < ATTACHMENTS; i++) {
      int container = i % networks.containerCount();
      Attachment first = networks.attachment(network, container);
      attachments.add(
          Attachment.of(
              first.containerId(),
              first.namespace().orElseThrow(),
              "eth" + i / networks.containerCount()));
      network.add(attachments.getLast());
    }
    AttachmentUpdate mtu = AttachmentUpdate.NONE.withKey("bridge", "mtu", IntNode.valueOf(1400));
    long start = System.nanoTime();
    for (Attachment it : attachments) {
      network.update(it.id(), mtu);
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    table.addRow(
        "mtu of %d attachments, %d to a container"
            .formatted(ATTACHMENTS, ATTACHMENTS / networks.containerCount()),
        List.of(ComparisonTable.number(seconds) + " s"),
        "s",
        seconds,
        Goal.atMost(MAX_SECONDS_FOR_ALL));
    for (Attachment it : attachments) {
      network.delete(it);
    }
  }

  private static AttachmentUpdate portMappings(int... hostPorts) throws CniException {
    String mappings =
        IntStream.of(hostPorts)
            .mapToObj(
                "{ \"hostPort\": %d, \"containerPort\": 80, \"protocol\": \"tcp\" }"::formatted)
            .collect(Collectors.joining(","));
    return AttachmentUpdate.NONE.withCapabilityArg("portMappings", json("[" + mappings + "]"));
  }

  private static AttachmentUpdate limit(int i) {
    return AttachmentUpdate.NONE.withKey(
        "bandwidth", "ingressRate", IntNode.valueOf(900_000_000 + i % 2));
  }

  private static JsonNode json(String value) throws CniException {
    return Json.parse(("{\"of\":" + value + "}").getBytes(UTF_8), "value").path("of");
  }
}
