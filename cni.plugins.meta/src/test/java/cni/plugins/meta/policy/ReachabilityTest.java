// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.plugins.meta.policy.PolicyCases.Case;
import cni.plugins.meta.policy.PolicyCases.Step;
import cni.plugins.meta.policy.Reachability.Probe;
import cni.policy.PolicyEvaluator;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * The fate of packets between all nodes of a {@link PolicyWorld} in each of {@link PolicyCases},
 * after the kinds of Kubernetes' conformance tests of NetworkPolicy. The decision of {@link
 * PolicyEvaluator}, which {@code cni policy explain} shows, is the same for every packet.
 */
@KernelTest(commands = "python3")
@Execution(ExecutionMode.SAME_THREAD) // the cases share one world
class ReachabilityTest {
  @TestFactory
  Stream<DynamicTest> packets(TestHost host) throws Exception {
    var world = new PolicyWorld(host);
    var reachability = new Reachability(world);
    List<Case> cases = PolicyCases.all();
    return cases.stream()
        .map(it -> DynamicTest.dynamicTest(it.name(), () -> run(it, world, reachability)))
        .onClose(world::close);
  }

  /** Shows that a packet that arrives although it is forbidden is noticed. */
  @Test
  void packetsThatArriveAreNoticed(TestHost host) throws Exception {
    try (var world = new PolicyWorld(host)) {
      world.apply("[]");
      Map<Probe, Boolean> matrix = Expectation.matrix(world, List.of("sctp/9000"), List.of());
      assertEquals(List.of(), new Reachability(world).faults(matrix));
      matrix.replaceAll((_, _) -> false);
      List<String> faults = new Reachability(world).faults(matrix);
      for (String service : List.of("tcp/80", "udp/53", "icmp", "sctp/9000")) {
        String fault = "job>web v6 " + service + ": forbidden, but ";
        assertTrue(faults.stream().anyMatch(it -> it.startsWith(fault)), fault + faults);
      }
    }
  }

  private static void run(Case tested, PolicyWorld world, Reachability reachability)
      throws Exception {
    world.restoreLabels();
    for (Step step : tested.steps()) {
      if (step.policies() != null) {
        world.apply(step.policies());
      }
      for (Map.Entry<String, String> labels : step.labels().entrySet()) {
        world.relabel(labels.getKey(), labels.getValue());
      }
      Map<Probe, Boolean> matrix =
          Expectation.matrix(world, tested.services(), step.expectations());
      List<String> faults = new ArrayList<>(faultsOfEvaluator(matrix, world));
      faults.addAll(reachability.faults(matrix));
      if (!faults.isEmpty()) {
        throw new AssertionError(
            "%d faults of %d probes with %s: %s"
                .formatted(
                    faults.size(),
                    matrix.size(),
                    step.policies(),
                    String.join("\n", faults.subList(0, Math.min(40, faults.size())))));
      }
    }
  }

  private static List<String> faultsOfEvaluator(Map<Probe, Boolean> matrix, PolicyWorld world)
      throws Exception {
    PolicyEvaluator evaluator = world.evaluator();
    List<String> faults = new ArrayList<>();
    matrix.forEach(
        (probe, expected) -> {
          var from = world.node(probe.from());
          var to = world.node(probe.to());
          boolean allowed =
              evaluator
                  .evaluate(
                      world.source(from, to, probe.isV4()),
                      to.address(probe.isV4()),
                      probe.protocol(),
                      probe.port())
                  .isAllowed();
          if (allowed != expected) {
            faults.add("%s: the evaluator says %s".formatted(probe, allowed));
          }
        });
    return faults;
  }
}
