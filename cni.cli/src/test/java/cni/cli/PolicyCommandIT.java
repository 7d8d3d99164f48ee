// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Json;
import cni.cli.ImageRunner.CommandOutput;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** {@code cni policy} of the image, with containers that the image has attached. */
@KernelTest(commands = {"nft", "ping"})
class PolicyCommandIT {
  private final TestHost host;
  private final Path policies;
  private final Path data;

  PolicyCommandIT(TestHost host) throws IOException {
    this.host = host;
    policies = Files.createDirectory(host.directory().resolve("policy.d"));
    data = host.directory().resolve("policy");
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted(""),
        """
        { "type": "policy", "policyDir": "%s", "dataDir": "%s",
          "capabilities": { "labels": true } }
        """
            .formatted(policies, data));
  }

  private CommandOutput policy(String command, String... arguments) throws Exception {
    List<String> all = new ArrayList<>(List.of("policy", command));
    all.addAll(List.of("--policies", policies.toString(), "--data", data.toString()));
    all.addAll(List.of(arguments));
    return new ImageRunner(host).cni(Map.of(), all.toArray(String[]::new));
  }

  private void add(NetNs container, String id, String labels) throws Exception {
    CommandOutput output =
        new ImageRunner(host)
            .cni(
                Map.of(),
                "add",
                "n",
                container.path().toString(),
                "--container-id",
                id,
                "--capability-args",
                "{\"labels\": " + labels + "}");
    assertEquals(0, output.status(), output::err);
  }

  @Test
  void policiesAreAppliedExplainedAndCounted() throws Exception {
    NetNs web = host.container("web");
    NetNs db = host.container("db");
    add(web, "web", "{\"app\": \"web\"}");
    add(db, "db", "{\"app\": \"db\"}");
    Files.writeString(
        policies.resolve("db.json"),
        """
        { "name": "db", "podSelector": { "matchLabels": { "app": "db" } },
          "policyTypes": ["Ingress"],
          "ingress": [ { "from": [ { "podSelector": { "matchLabels": { "app": "web" } } } ],
                         "ports": [ { "protocol": "ICMP" } ] } ] }
        """);
    CommandOutput before = policy("diff");
    assertEquals(1, before.status(), before::err);
    assertTrue(before.out().contains("policy db: not in force"), before::out);
    CommandOutput applied = policy("apply");
    assertEquals(0, applied.status(), applied::err);
    assertEquals("added: db\npolicies now in force: 1\n", applied.out());
    TestBed.run(web, "ping", "-c", "1", "10.50.0.3");
    assertEquals(0, policy("explain", "-p", "icmp", "n/web", "10.50.0.3").status());
    assertEquals(1, policy("explain", "web", "db:5432").status());
    CommandOutput shown = policy("show", "db", "--json");
    assertEquals(0, shown.status(), shown::err);
    long packets =
        Json.parse(shown.out(), "standard output")
            .path("counters")
            .path("allowed")
            .path("ingress")
            .path("packets")
            .asLong();
    assertTrue(packets >= 1, shown::out);
    CommandOutput after = policy("diff");
    assertEquals(0, after.status(), after::out);
    TestBed.run(host.netns(), "nft", "flush", "ruleset");
    CommandOutput flushed = policy("diff");
    assertEquals(1, flushed.status(), flushed::err);
    assertTrue(flushed.out().contains("kernel: "), flushed::out);
    CommandOutput restored = policy("apply");
    assertEquals(0, restored.status(), restored::err);
    assertTrue(restored.out().contains("restored: "), restored::out);
    assertEquals(0, policy("diff").status());
  }
}
