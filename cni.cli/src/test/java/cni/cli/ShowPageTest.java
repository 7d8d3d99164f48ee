// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** {@code cni show --html} of a host with attachments and a policy. */
@KernelTest
class ShowPageTest {
  private final TestHost host;

  ShowPageTest(TestHost host) {
    this.host = host;
  }

  private String page(String... network) throws IOException {
    Path file = host.directory().resolve("page.html");
    String[] arguments = {
      "show",
      "--html",
      file.toString(),
      "--networks",
      host.networks().toString(),
      "--cache",
      host.cache().toString(),
      "--host-netns",
      host.netns().path().toString()
    };
    var all = new ArrayList<>(List.of(arguments));
    all.addAll(List.of(network));
    assertEquals(0, Main.execute(all.toArray(String[]::new)));
    return Files.readString(file);
  }

  @Test
  void pageShowsNetworksAttachmentsAndPolicies() throws Exception {
    Path policies = Files.createDirectory(host.directory().resolve("policy.d"));
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted(""),
        """
        { "type": "policy", "policyDir": "%s", "dataDir": "%s",
          "capabilities": { "labels": true } }
        """
            .formatted(policies, host.directory().resolve("policy")));
    host.network("other", "1.1.0", TestHost.DUAL_STACK.formatted("").replace("br0", "br1"));
    Files.writeString(
        policies.resolve("db.json"),
        """
        { "name": "db-only", "podSelector": { "matchLabels": { "app": "db" } },
          "policyTypes": ["Ingress"], "ingress": [] }
        """);
    NetNs a = host.container("a");
    try (Cni cni = host.openCni()) {
      cni.network("n").add(TestHost.attachment(a, "labels", "{\"app\": \"db\"}"));
    }
    String page = page();
    assertTrue(page.contains(TestBed.nameOf(a)), page);
    assertTrue(page.contains("<td class=\"wide\">10.50.0.2/24, fd50::2/64</td>"), page);
    assertTrue(page.contains("<b>br0</b>") && page.contains("<b>br1</b>"), page);
    assertTrue(page.contains("bridge → policy"), page);
    assertTrue(page.contains("db-only</th><td>ingress</td>"), page);
    assertTrue(page.contains("1 attachment</td>"), page);
    String other = page("other");
    assertTrue(other.contains("<b>br1</b>"), other);
    assertFalse(other.contains("<b>br0</b>") || other.contains("10.50.0.2/24"), other);
  }
}
