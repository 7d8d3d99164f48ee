// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import cni.api.Deadline;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.support.NetNsSession;
import cni.policy.HostPolicies;
import cni.runtime.Network;
import cni.testing.JavaProcess;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * A process that is killed at any instant while it attaches, detaches, relabels or applies leaves
 * what the next operation of another process brings in order.
 */
@KernelTest(commands = "nft")
class PolicyKillTest {
  private static final int KILLS = 6;
  private static final int LONGEST_MILLIS = 400;

  @Test
  void nextOperationBringsWhatAKillHasLeftInOrder(TestHost host) throws Exception {
    long seed = System.nanoTime();
    var random = new Random(seed);
    try (var policies = new PolicyHost(host)) {
      NetNs killed = host.container("killed");
      NetNs other = host.container("other");
      policies.network("n", TestHost.DUAL_STACK.formatted(""));
      Network network = policies.cni().network("n");
      Files.writeString(
          policies.directories().policies().resolve("db.json"),
          """
          { "name": "db", "podSelector": { "matchLabels": { "app": "db" } },
            "policyTypes": ["Ingress", "Egress"] }
          """);
      for (int kill = 0; kill < KILLS; kill++) {
        killAt(random.nextInt(LONGEST_MILLIS), host, killed);
        switch (random.nextInt(3)) {
          case 0 -> {
            network.add(PolicyHost.labelled(other, "app=web"));
            network.delete(TestHost.attachment(other));
          }
          case 1 -> policies.apply("other.json", "[]");
          default -> network.gc(Set.of(TestHost.attachment(killed).id()));
        }
        try (NetNsSession session = policies.session()) {
          assertEquals(
              List.of(),
              new HostPolicies(policies.directories(), session, Deadline.none()).difference(),
              "seed " + seed + " kill " + kill);
        }
        network.delete(TestHost.attachment(killed));
        network.gc(Set.of());
        assertEquals("", TestBed.run(host.netns(), "nft", "list", "ruleset"), "seed " + seed);
        try (Stream<Path> files = Files.list(policies.directories().data().resolve("endpoints"))) {
          assertEquals(List.of(), files.toList());
        }
      }
    }
  }

  private static void killAt(int millis, TestHost host, NetNs container) throws Exception {
    List<String> command =
        JavaProcess.command(
            PolicyProcess.class,
            host.directory().toString(),
            host.netns().path().toString(),
            container.path().toString());
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try (BufferedReader out = process.inputReader(StandardCharsets.UTF_8)) {
      assertNotNull(out.readLine(), "the process has ended");
      Thread.sleep(millis);
    } finally {
      process.destroyForcibly().waitFor();
    }
  }
}
