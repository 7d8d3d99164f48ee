// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import cni.api.CniException;
import cni.api.Json;
import cni.testing.KernelTest;
import cni.testing.ReferencePlugins;
import cni.testing.TestBed;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.node.ObjectNode;

/**
 * Pods through containerd's Container Runtime Interface, as a kubelet runs them: dual stack, host
 * ports and bandwidth limits, with the image's plugins installed as executables.
 */
@KernelTest(commands = {"containerd", "ctr", "runc", "busybox", "nft", "tc", "ss"})
class CriPodsIT {
  private static final int PODS = 3;

  private static String run(TestBed bed, Map<String, String> variables, HostScenario scenario)
      throws Exception {
    assumeTrue(
        System.getenv("CI") != null
            || TestBed.tryRun(bed.netns(), "/usr/bin/python3", "-c", "import grpc").status() == 0,
        "it needs Debian's package python3-grpcio");
    return new ClientScript(bed, "pods.sh")
        .run(variables, scenario.start(), scenario.middle(), scenario.during());
  }

  @ParameterizedTest
  @EnumSource
  void podsRunWithTheImagesPlugins(HostScenario scenario, TestBed bed) throws Exception {
    String text = run(bed, Map.of(), scenario);
    scenario.assertReport(text);
    List<ObjectNode> failed = calls(text).stream().filter(it -> it.has("error")).toList();
    int expected = scenario.mayInterruptAdd() ? 1 : 0;
    assertTrue(failed.size() <= expected, text);
    for (ObjectNode call : failed) {
      assertEquals("RunPodSandbox", call.path("call").asString(), text);
      assertEquals(2, call.path("pod").asInt(), text);
    }
    assertPodsWorked(text);
  }

  /** What the script demands is no more than what the reference plugins do. */
  @Test
  @KernelTest(reference = true)
  void podsRunWithTheReferencePlugins(TestBed bed) throws Exception {
    String plugins = ReferencePlugins.directory().toAbsolutePath().toString();
    String text = run(bed, Map.of("PLUGINS", plugins), HostScenario.NONE);
    assertEquals(List.of(), calls(text).stream().filter(it -> it.has("error")).toList(), text);
    assertPodsWorked(text);
  }

  private static List<ObjectNode> calls(String text) throws CniException {
    List<ObjectNode> calls = new ArrayList<>();
    for (String line : text.lines().filter(it -> it.startsWith("{\"call\"")).toList()) {
      calls.add(Json.parse(line, "a line of cri.py"));
    }
    return calls;
  }

  private static void assertPodsWorked(String text) throws CniException {
    List<String> verbs =
        List.of("RunPodSandbox", "PodSandboxStatus", "StopPodSandbox", "RemovePodSandbox");
    for (String verb : verbs) {
      long succeeded =
          calls(text).stream()
              .filter(it -> it.path("call").asString().equals(verb) && !it.has("error"))
              .count();
      assertEquals(PODS, succeeded, () -> verb + ": " + text);
    }
    for (ObjectNode call : calls(text)) {
      if (call.path("call").asString().equals("PodSandboxStatus")) {
        String addresses = call.path("addresses").toString();
        assertTrue(addresses.matches("\\[\"10\\.208\\.0\\.\\d+\",\"fd08::[0-9a-f]+\"]"), text);
      }
    }
    for (int pod = 1; pod <= PODS; pod++) {
      assertTrue(text.contains("\npod " + pod + " at 192.0.2.1: served\n"), text);
      assertTrue(text.contains("\npod " + pod + " at 2001:db8::1: served\n"), text);
    }
    // One queueing discipline for each direction, of 10 Mbit/s in bytes.
    List<String> rates = text.lines().filter(it -> it.startsWith("rate ")).toList();
    assertEquals(Collections.nCopies(2 * PODS, "rate 1250000"), rates, text);
    List<String> left = text.lines().filter(it -> it.startsWith("left")).toList();
    assertEquals(
        List.of("left: ", "left: ", "left rules: 0", "left devices: ", "left namespaces: "),
        left,
        text);
  }
}
