// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Json;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

/** The output of {@code cni policy}, with a state that an earlier process has left. */
@Isolated("captures the standard streams of the process")
class PolicyCommandTest {
  private static final String WEB =
      """
      { "name": "web", "podSelector": { "matchLabels": { "app": "web" } },
        "policyTypes": ["Ingress"],
        "ingress": [ { "from": [ { "podSelector": { "matchLabels": { "app": "client" } } },
                                 { "ipBlock": { "cidr": "192.0.2.0/24", "except": ["192.0.2.7/32"] } } ],
                       "ports": [ { "port": "http" }, { "protocol": "UDP", "port": 53, "endPort": 60 } ] } ] }
      """;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();
  private final PrintStream originalOut = System.out;
  private final PrintStream originalErr = System.err;
  private final Path policies;
  private final Path data;

  PolicyCommandTest(@TempDir Path directory) {
    policies = directory.resolve("policy.d");
    data = directory.resolve("data");
  }

  @BeforeEach
  void open() throws IOException {
    System.setOut(new PrintStream(out, true, UTF_8));
    System.setErr(new PrintStream(err, true, UTF_8));
    Files.createDirectories(policies);
    Files.createDirectories(data.resolve("endpoints"));
    Files.writeString(policies.resolve("web.json"), WEB);
    Files.writeString(data.resolve("policies.json"), "[" + WEB + "]");
    endpoint("one", "10.1.0.2/24", "fd01::2/64", "{\"app\": \"web\"}");
    endpoint("two", "10.1.0.3/24", "fd01::3/64", "{\"app\": \"client\", \"tier\": \"b\"}");
    endpoint("other", "10.1.0.4/24", "fd01::4/64", "{}");
  }

  private void endpoint(String name, String v4, String v6, String labels) throws IOException {
    Files.writeString(
        data.resolve("endpoints").resolve("net:" + name + ":eth0"),
        """
        { "network": "net", "containerId": "%s", "ifname": "eth0", "labels": %s,
          "ports": { "http": { "protocol": "TCP", "port": 8080 } },
          "addresses": ["%s", "%s"], "hostInterface": "veth%s", "bridge": "br0" }
        """
            .formatted(name, labels, v4, v6, name));
  }

  @AfterEach
  void restoreStreams() {
    System.setOut(originalOut);
    System.setErr(originalErr);
  }

  private int cni(String command, String... arguments) {
    out.reset();
    err.reset();
    List<String> all = new ArrayList<>(List.of("policy", command));
    all.addAll(List.of("--policies", policies.toString(), "--data", data.toString()));
    all.addAll(List.of(arguments));
    return Main.execute(all.toArray(String[]::new));
  }

  private String output() {
    return out.toString(UTF_8);
  }

  private String errors() {
    return err.toString(UTF_8);
  }

  private JsonNode json() throws CniException {
    return Json.parseAny(out.toByteArray(), "standard output");
  }

  @Test
  void listComparesFilesWithWhatIsInForce() throws Exception {
    assertEquals(0, cni("list"), this::errors);
    assertEquals(
        """
        NAME  FILE      SELECTS  RESTRICTS  STATE
        web   web.json  1        ingress    in force
        """,
        output());
    Files.writeString(policies.resolve("web.json"), WEB.replace("53", "54"));
    Files.writeString(
        policies.resolve("new.json"),
        "{ \"name\": \"new\", \"podSelector\": {}, \"bandwidth\": { \"egressRate\": 10000000,"
            + " \"egressBurst\": 1000000 } }");
    assertEquals(0, cni("list", "--json"), this::errors);
    assertEquals("new", json().path(0).path("name").asString());
    assertEquals(3, json().path(0).path("selects").asInt());
    assertEquals("bandwidth", json().path(0).path("restricts").path(0).asString());
    assertFalse(json().path(0).path("inForce").asBoolean());
    assertEquals("in force, changed in the file", json().path(1).path("state").asString());
    Files.delete(policies.resolve("web.json"));
    assertEquals(0, cni("list"));
    assertTrue(output().contains("in force, removed from the files"), this::output);
    Files.writeString(policies.resolve("web.json"), "{");
    assertEquals(0, cni("list"));
    assertTrue(output().contains("in force, its file is invalid"), this::output);
    assertTrue(errors().contains("web.json:1: "), this::errors);
  }

  @Test
  void showDescribesAPolicyThatIsNotInForce() throws Exception {
    Files.writeString(
        policies.resolve("egress.json"),
        """
        [ { "name": "none", "podSelector": { "matchExpressions": [
              { "key": "tier", "operator": "In", "values": ["b", "a"] } ] },
            "networks": ["net"], "policyTypes": ["Egress"] } ]
        """);
    assertEquals(0, cni("show", "none"), this::errors);
    assertEquals(
        """
        policy none, not in force (%s)
          egress: nothing is allowed

        selects attachments with tier in (a, b) of network net: 1
          net/two/eth0  10.1.0.3 fd01::3  app=client,tier=b
        """
            .formatted(policies.resolve("egress.json")),
        output());
    assertEquals(0, cni("show", "none", "--json"), this::errors);
    assertEquals("none", json().path("policy").path("name").asString());
    assertEquals("two", json().path("attachments").path(0).path("containerId").asString());
    assertEquals(1, cni("show", "non"));
    assertTrue(errors().contains("there is no policy non: did you mean none?"), this::errors);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "0; net/two net/one:http; ingress: allowed by ingress[0] of policy web",
        "0; two one:8080; egress: not restricted, no policy for it selects the container",
        "0; -p udp two [fd01::2]:60; ingress: allowed by ingress[0] of policy web",
        "0; 192.0.2.8 10.1.0.2:8080; 192.0.2.8 (no container of this host with policies)",
        "1; 192.0.2.7 10.1.0.2:8080; ingress: denied, no rule of web allows it",
        "1; net/two/eth0 net/one/eth0:22; to allow it: policy web: ingress[0] allows",
        "1; -p icmp other one; ICMP from net/other/eth0 (10.1.0.4, no labels)",
        "1; two one; TCP (every port) from",
        "0; app=client one:8080; from a container with app=client to net/one/eth0 (10.1.0.2, app=web)",
        "1; x=y app=web:8080; TCP 8080 from a container with x=y to a container with app=web: denied",
        "0; one oth:1; to net/other/eth0 (10.1.0.4, no labels): allowed",
        "0; 127.0.0.1 one:22; ingress: allowed, as all that this host itself sends",
      })
  void explainSaysWhoDecides(int status, String line, String expected) {
    assertEquals(status, cni("explain", line.split(" ", -1)), () -> output() + errors());
    assertTrue(output().contains(expected), this::output);
  }

  @Test
  void explainPrintsBothIpVersionsAndJson() throws Exception {
    assertEquals(0, cni("explain", "two", "one:8080"), this::errors);
    assertEquals(2, output().lines().filter(it -> it.startsWith("TCP 8080")).count());
    assertEquals(1, cni("explain", "--json", "other", "one:8080"));
    JsonNode flow = json().path("flows").path(1);
    assertFalse(json().path("allowed").asBoolean(true));
    assertEquals("fd01::4", flow.path("source").path("address").asString());
    assertEquals("web", flow.path("ingress").path("restrictedBy").path(0).asString());
    assertTrue(flow.path("ingress").path("remedy").asString().contains("add {"));
    assertTrue(flow.path("egress").path("allowed").asBoolean());
  }

  @Test
  void explainDecidesByTheFilesIfAsked() throws Exception {
    Files.writeString(policies.resolve("web.json"), WEB.replace("client", "nobody"));
    assertEquals(0, cni("explain", "two", "one:8080"), this::errors);
    assertEquals(1, cni("explain", "--files", "two", "one:8080"), this::errors);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "net/tow one:1; net/tow is no attachment with policies, address or list of labels (a=b): did you mean net/two?",
        "zzzzzz one:1; zzzzzz is no attachment with policies, address or list of labels (a=b): known are one, other, two",
        "o one:1; o has several attachments: give one of net/one/eth0, net/other/eth0",
        "two one:htpt; htpt is no port from 1 to 65535, and no TCP port of the destination: did you mean http?",
        "two 192.0.2.1:70000; 70000 is no port from 1 to 65535, and the destination has no named ports",
        "-p icmp two one:80; ICMP has no ports: leave out :80",
        "-p igmp two one; --protocol: igmp is none of tcp, udp, sctp, icmp",
        "10.1.0.2 fd01::3; SOURCE and DESTINATION have no IP version in common",
        "a=b,c one:1; \"c\" of a=b,c is not a label: write KEY=VALUE,KEY=VALUE",
      })
  void explainRefusesWhatMeansNothing(String line, String why) {
    assertEquals(2, cni("explain", line.split(" ", -1)));
    assertTrue(errors().contains(why), this::errors);
  }

  @Test
  void explainNamesThePluginThatIsMissing() throws Exception {
    for (String name : List.of("one", "two", "other")) {
      Files.delete(data.resolve("endpoints").resolve("net:" + name + ":eth0"));
    }
    assertEquals(2, cni("explain", "net/one", "net/two:80"));
    assertTrue(errors().contains("if its chain contains the plugin \"policy\""), this::errors);
  }

  /** The id is the one that cnitool derives from /run/netns/blue. */
  @Test
  void explainAcceptsTheNameOfANamespace() throws Exception {
    String id = AttachmentOptions.cnitoolContainerId(Path.of("/run/netns/blue"));
    Path file = data.resolve("endpoints").resolve("net:one:eth0");
    Files.writeString(file, Files.readString(file).replace("\"one\"", "\"" + id + "\""));
    Files.move(file, file.resolveSibling("net:" + id + ":eth0"));
    assertEquals(0, cni("explain", "two", "net/blue:8080"), this::errors);
    assertTrue(output().contains(" to net/" + id), this::output);
    assertEquals(2, cni("explain", "two", "net/green:8080"));
  }

  @Test
  void dryRunOfApplyChangesNothing() throws Exception {
    Files.writeString(policies.resolve("a.json"), WEB.replace("\"web\"", "\"a\""));
    Files.delete(policies.resolve("web.json"));
    assertEquals(0, cni("apply", "--dry-run"), this::errors);
    assertEquals(
        """
        would be added: a
        would be removed: web
        policies that would be in force: 1
        would be restored: table inet cni_policy: missing
        would be restored: table bridge cni_policy: missing
        """,
        output());
    assertEquals("[" + WEB + "]", Files.readString(data.resolve("policies.json")));
  }

  @Test
  void applyReportsEveryProblemWithItsPlace() throws Exception {
    Files.writeString(policies.resolve("bad.json"), "{\n \"name\": 7,\n \"podSelecter\": {}\n}");
    Files.writeString(policies.resolve("worse.json"), "{");
    assertEquals(1, cni("apply"));
    assertTrue(errors().contains("bad.json:2: name 7 "), this::errors);
    assertTrue(errors().contains("bad.json:3: podSelecter "), this::errors);
    assertTrue(errors().contains("worse.json:1: "), this::errors);
    assertTrue(errors().contains("nothing has changed"), this::errors);
    assertEquals("", output());
    assertEquals("[" + WEB + "]", Files.readString(data.resolve("policies.json")));
  }

  @Test
  void diffListsWhatTheFilesWouldChange() throws Exception {
    Files.delete(data.resolve("policies.json"));
    for (String name : List.of("one", "two", "other")) {
      Files.delete(data.resolve("endpoints/net:" + name + ":eth0"));
    }
    Files.delete(data.resolve("endpoints"));
    assertEquals(1, cni("diff"), this::errors);
    assertEquals(
        """
        policy web: not in force
        + selects attachments with app=web
        + ingress[0]: allows TCP port "http", UDP 53-60 from containers with app=client or 192.0.2.0/24 except 192.0.2.7/32
        """,
        output());
    Files.delete(policies.resolve("web.json"));
    assertEquals(0, cni("diff"), this::errors);
    Files.delete(policies);
    assertEquals(1, cni("diff"));
    assertTrue(errors().contains(policies + ": does not exist: create it by "), this::errors);
  }
}
