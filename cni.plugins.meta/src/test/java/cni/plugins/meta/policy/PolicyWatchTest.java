// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Deadline;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.support.NetNsSession;
import cni.policy.HostPolicies;
import cni.policy.Policy;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Resident processes put policies in force when their files change. */
@KernelTest(commands = "nft")
class PolicyWatchTest {
  private static final Duration TIMEOUT = Duration.ofSeconds(60);

  /** Longer than the watch waits for further changes. */
  private static final Duration SETTLED = Duration.ofSeconds(2);

  private static final String DENIES_ALL =
      """
      { "name": "%s", "podSelector": { "matchLabels": { "app": "db" } },
        "policyTypes": ["Ingress"] }
      """;

  private final TestHost host;
  private final NetNs web;
  private final NetNs db;

  PolicyWatchTest(TestHost host) throws IOException {
    this.host = host;
    web = host.container("web");
    db = host.container("db");
  }

  private void attach(PolicyHost policies, Cni cni) throws Exception {
    policies.network("n", TestHost.DUAL_STACK.formatted(""));
    var network = cni.network("n");
    network.add(PolicyHost.labelled(web, "app=web"));
    network.add(PolicyHost.labelled(db, "app=db"));
    host.awaitAddresses();
    host.serve(db, 80);
    assertTrue(isReachable());
  }

  private boolean isReachable() throws Exception {
    return Probe.tcp(web, "10.50.0.3", 80).isPresent();
  }

  private static List<String> inForce(PolicyHost policies) throws CniException {
    try (NetNsSession session = policies.session()) {
      return new HostPolicies(policies.directories(), session, Deadline.none())
          .state().policies().stream().map(Policy::name).toList();
    }
  }

  private static void await(PolicyHost policies, String... names) throws Exception {
    long end = System.nanoTime() + TIMEOUT.toNanos();
    while (!inForce(policies).equals(List.of(names))) {
      assertTrue(System.nanoTime() < end, () -> List.of(names) + " are not put in force");
      Thread.sleep(20);
    }
  }

  @Test
  void pluginOfAResidentProcessFollowsTheFiles() throws Exception {
    try (var policies = new PolicyHost(host)) {
      attach(policies, policies.cni());
      Path directory = policies.directories().policies();
      Files.writeString(directory.resolve("db.json"), DENIES_ALL.formatted("one"));
      await(policies, "one");
      assertFalse(isReachable());

      Files.writeString(directory.resolve("broken.json"), "{ \"name\": 7 }");
      Files.delete(directory.resolve("db.json"));
      Thread.sleep(SETTLED);
      assertEquals(List.of("one"), inForce(policies));
      assertFalse(isReachable());
      CniException status =
          assertThrows(CniException.class, () -> policies.cni().network("n").status());
      assertTrue(status.getMessage().contains("broken.json:1: name 7"), status::getMessage);
      assertTrue(status.getMessage().contains("the policies before are in force"));

      Files.delete(directory.resolve("broken.json"));
      await(policies);
      assertTrue(isReachable());
      policies.cni().network("n").status();
    }
  }

  @Test
  void directoryMayBeRemovedAndReplaced() throws Exception {
    try (var policies = new PolicyHost(host)) {
      Path directory = policies.directories().policies();
      Files.writeString(
          directory.resolve("web.json"), DENIES_ALL.formatted("a").replace("db", "x"));
      attach(policies, policies.cni());
      Files.delete(directory.resolve("web.json"));
      Files.delete(directory);
      Thread.sleep(SETTLED);
      assertEquals(List.of("a"), inForce(policies));

      Path first = Files.createDirectory(host.directory().resolve("first"));
      Files.writeString(first.resolve("b.json"), DENIES_ALL.formatted("b"));
      Files.createSymbolicLink(directory, first);
      await(policies, "b");
      assertFalse(isReachable());

      Path second = Files.createDirectory(host.directory().resolve("second"));
      Files.writeString(second.resolve("c.json"), DENIES_ALL.formatted("c"));
      Files.createSymbolicLink(host.directory().resolve("new"), second);
      Files.move(host.directory().resolve("new"), directory, StandardCopyOption.ATOMIC_MOVE);
      await(policies, "c");
    }
  }

  @Test
  void daemonFollowsTheFilesOfExecutables() throws Exception {
    try (var policies = new PolicyHost(host);
        Cni cni = host.builder().oneShot().build()) {
      attach(policies, cni);
      Path directory = policies.directories().policies();
      Files.writeString(directory.resolve("db.json"), DENIES_ALL.formatted("before"));
      List<String> arguments =
          List.of(
              "--policies",
              directory.toString(),
              "--data=" + policies.directories().data(),
              "--host-netns",
              host.netns().path().toString());
      var daemon = new PolicyDaemon();
      daemon.requireValid(arguments);
      Thread thread = Thread.ofPlatform().start(() -> run(daemon, arguments));
      try {
        await(policies, "before");
        Files.writeString(directory.resolve("db.json"), DENIES_ALL.formatted("after"));
        await(policies, "after");
        assertFalse(isReachable());
      } finally {
        thread.interrupt();
        assertTrue(thread.join(TIMEOUT), "the daemon does not end");
      }
    }
  }

  private static void run(PolicyDaemon daemon, List<String> arguments) {
    try {
      daemon.run(arguments);
    } catch (CniException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void daemonRefusesUnknownOptions() {
    var daemon = new PolicyDaemon();
    for (List<String> arguments :
        List.of(List.of("--policy", "/x"), List.of("--data"), List.of("--data", "relative"))) {
      CniException e = assertThrows(CniException.class, () -> daemon.requireValid(arguments));
      assertTrue(e.getMessage().startsWith("policy daemon: "), e::getMessage);
    }
  }
}
