// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Podman (network version 0.4.0) and containerd (1.0.0) run containers with the image's plugins
 * installed as executables, and share the result cache with the {@code cni} command.
 */
class PodmanContainerdIT {
  private static String run(TestBed bed, String script, String address, HostScenario scenario)
      throws Exception {
    String text =
        new ClientScript(bed, script)
            .run(Map.of(), scenario.start(), scenario.middle() + scenario.during());
    scenario.assertReport(text);
    // The second container has tuning's settings, and reaches itself and the first one.
    assertTrue(text.contains("mtu 1400"), text);
    assertTrue(text.contains("\n477\n"), text);
    assertEquals(3, text.lines().filter(it -> it.contains(" 0% packet loss")).count(), text);
    assertTrue(text.contains("\nserved"), text);
    // cni reads the client's cache entries, and the client uses those of cni.
    assertTrue(text.contains("checked by us"), text);
    assertTrue(text.contains("eth0") && text.contains(address), text);
    List<String> witnessed = text.lines().filter(it -> it.startsWith("witnessed: {")).toList();
    assertFalse(witnessed.isEmpty(), text);
    assertTrue(witnessed.getLast().contains("\"prevResult\""), text);
    assertTrue(witnessed.getLast().contains("\"clients0\""), text);
    assertEquals(
        List.of("left: ", "left: "), text.lines().filter(it -> it.startsWith("left:")).toList());
    return text;
  }

  @ParameterizedTest
  @EnumSource
  @KernelTest(commands = {"podman", "runc", "busybox", "nft", "ss"})
  void podmanRunsContainersWithOurPlugins(HostScenario scenario, TestBed bed) throws Exception {
    String text = run(bed, "podman.sh", "10.205.0.", scenario);
    assertTrue(text.contains("published: served"), text);
    assertTrue(text.contains("left rules: 0"), text);
  }

  @ParameterizedTest
  @EnumSource
  @KernelTest(commands = {"containerd", "ctr", "runc", "busybox", "ss"})
  void containerdRunsContainersWithOurPlugins(HostScenario scenario, TestBed bed) throws Exception {
    run(bed, "containerd.sh", "10.206.0.", scenario);
  }
}
