// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.Map;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** {@code cni update} and {@code cni repair} of the image. */
@KernelTest(commands = {"nft", "tc"})
class UpdateCommandIT {
  private final TestHost host;
  private final NetNs a;
  private final NetNs b;

  UpdateCommandIT(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
    configure("");
  }

  private void configure(String options) throws IOException {
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted(options),
        "{ \"type\": \"portmap\", \"backend\": \"nftables\","
            + " \"capabilities\": { \"portMappings\": true } }");
  }

  private ImageRunner.CommandOutput cni(String... arguments) throws Exception {
    return new ImageRunner(host).cni(Map.of(), arguments);
  }

  private String succeed(String... arguments) throws Exception {
    ImageRunner.CommandOutput output = cni(arguments);
    assertEquals(0, output.status(), output::err);
    return output.out();
  }

  private static JsonNode json(String text) throws Exception {
    return Json.parse("{\"of\":" + text + "}", "standard output").path("of");
  }

  private static String mtu(NetNs container) throws IOException {
    String link = TestBed.run(container, "ip", "-o", "link", "show", "eth0");
    return link.replaceFirst("(?s).* mtu (\\d+) .*", "$1");
  }

  private String rules() throws IOException {
    return TestBed.run(host.netns(), "nft", "list", "ruleset");
  }

  @Test
  void updateChangesWhatItsOptionsName() throws Exception {
    String path = a.path().toString();
    succeed("add", "n", path);
    String plan = succeed("update", "n", path, "--set", "bridge.mtu=1400", "--dry-run");
    assertTrue(plan.contains("to make") && plan.contains("1400"), plan);
    assertEquals("1500", mtu(a));
    String done = succeed("update", "n", path, "--set", "bridge.mtu=1400");
    assertTrue(done.contains("made"), done);
    assertEquals("1400", mtu(a));
    assertTrue(succeed("update", "n", path, "--set", "bridge.mtu=1400").contains("as it should"));
    succeed(
        "update",
        "n",
        path,
        "--capability-args",
        "{\"portMappings\":[{\"hostPort\":8080,\"containerPort\":80,\"protocol\":\"tcp\"}]}");
    assertTrue(rules().contains("dport 8080"), this::describeRules);
    succeed("check", "n", path);
    succeed("update", "n", path, "--capability-args", "{\"portMappings\": null}");
    assertFalse(rules().contains("dport 8080"), this::describeRules);
    JsonNode report = json(succeed("update", "n", path, "--unset", "bridge.mtu", "--json")).path(0);
    assertEquals("bridge", report.path("steps").path(0).path("plugin").asString());
    assertEquals("n", report.path("network").asString());
    succeed("del", "n", path);
    host.assertNothingLeft("n", a);
  }

  private String describeRules() {
    try {
      return rules();
    } catch (IOException e) {
      return e.toString();
    }
  }

  @Test
  void allBringsEveryAttachmentToTheFile() throws Exception {
    succeed("add", "n", a.path().toString());
    succeed("add", "n", b.path().toString());
    configure("\"mtu\": 1300,");
    assertEquals(0, json(succeed("repair", "n", "--json")).path(0).path("steps").size());
    String out = succeed("update", "n", "--all");
    assertEquals(2, out.lines().filter(line -> line.contains("made")).count(), out);
    assertEquals("1300", mtu(a));
    assertEquals("1300", mtu(b));
    ImageRunner.CommandOutput none = cni("update", "m", "--all");
    assertEquals(1, none.status());
    assertTrue(none.err().contains("no network"), none::err);
  }

  @Test
  void refusalsNameTheKeyAndRecreateAllowsThem() throws Exception {
    String path = a.path().toString();
    succeed("add", "n", path);
    ImageRunner.CommandOutput refused = cni("update", "n", path, "--set", "bridge.bridge=br7");
    assertEquals(1, refused.status());
    assertTrue(refused.err().contains("bridge of plugin bridge cannot change"), refused::err);
    assertTrue(refused.err().contains("--recreate"), refused::err);
    String out = succeed("update", "n", path, "--set", "bridge.bridge=br7", "--recreate");
    assertTrue(out.contains("recreated"), out);
    assertTrue(TestBed.linkNames(host.netns(), "bridge").contains("br7"));
    succeed("check", "n", path);
  }

  @Test
  void repairPrintsWhatItRestored() throws Exception {
    String path = a.path().toString();
    succeed("add", "n", path);
    assertTrue(succeed("repair").contains("as it should be"));
    TestBed.run(host.netns(), "ip", "address", "flush", "dev", "br0");
    TestBed.run(a, "ip", "route", "del", "default");
    String plan = succeed("repair", "--dry-run");
    assertTrue(plan.contains("would add"), plan);
    String out = succeed("repair", "n", path);
    assertTrue(out.contains("bridge: ") && out.contains("0.0.0.0/0"), out);
    succeed("check", "n", path);
    TestBed.run(a, "ip", "link", "delete", "eth0");
    ImageRunner.CommandOutput lost = cni("repair", "n", path);
    assertEquals(1, lost.status());
    assertTrue(lost.out().contains("cannot be restored"), lost::out);
  }
}
