// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** The capability arguments of {@code cni add}, {@code update} and {@code run}. */
@KernelTest(commands = {"nft", "tc"})
@Timeout(120)
class CapabilityOptionsTest {
  private static final String PORTMAP =
      "{ \"type\": \"portmap\", \"backend\": \"nftables\","
          + " \"capabilities\": { \"portMappings\": true } }";
  private static final String BANDWIDTH =
      "{ \"type\": \"bandwidth\", \"capabilities\": { \"bandwidth\": true } }";

  private final TestHost host;
  private final NetNs a;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  CapabilityOptionsTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted("\"capabilities\": { \"ips\": true, \"mac\": true },"),
        PORTMAP,
        BANDWIDTH);
    host.network(
        "second",
        "1.1.0",
        TestHost.DUAL_STACK.replace("br0", "br1").replace("50", "51").formatted(""),
        PORTMAP);
    host.network("plain", "1.1.0", TestHost.DUAL_STACK.formatted(""));
  }

  private int cni(Map<String, String> environment, String command, List<String> arguments)
      throws Exception {
    out.reset();
    err.reset();
    List<String> line = new ArrayList<>(List.of(command));
    line.add("--networks=" + host.networks());
    line.add("--path=" + host.executables());
    line.add("--cache=" + host.cache());
    line.add("--host-netns=" + host.netns().path());
    line.addAll(arguments);
    var invocation =
        new Invocation(
            environment,
            host.directory(),
            new PrintStream(out, true, UTF_8),
            new PrintStream(err, true, UTF_8),
            Optional.of(host.netns().path()),
            builder -> builder.oneShot().build());
    return invocation.call(() -> Main.execute(line.toArray(String[]::new)));
  }

  private int cni(String command, String... arguments) throws Exception {
    return cni(Map.of(), command, List.of(arguments));
  }

  private void succeed(String command, String... arguments) throws Exception {
    assertEquals(0, cni(command, arguments), this::errors);
  }

  private String errors() {
    return err.toString(UTF_8);
  }

  private JsonNode json() throws CniException {
    return Json.parseAny(out.toByteArray(), "standard output");
  }

  private String path() {
    return a.path().toString();
  }

  /** Returns the rates of the host's shapers in bytes per second. */
  private List<Long> rates() throws Exception {
    List<Long> rates = new ArrayList<>();
    String qdiscs = TestBed.run(host.netns(), "tc", "-j", "qdisc", "show");
    for (JsonNode qdisc : Json.parseAny(qdiscs.getBytes(UTF_8), "tc")) {
      if (qdisc.path("kind").asString().equals("tbf")) {
        rates.add(qdisc.at("/options/rate").longValue());
      }
    }
    return rates.stream().sorted().toList();
  }

  @Test
  void addPublishesPortsLimitsAndAddresses() throws Exception {
    NetNs outside = host.outside();
    succeed(
        "add",
        "-p",
        "8080:80",
        "-p",
        "5353:53/udp",
        "--bandwidth",
        "in=10M,out=20M",
        "--ip",
        "10.50.0.40",
        "--ip=fd50::40",
        "--mac",
        "02:AA:00:00:00:07",
        "n",
        path());
    assertEquals("10.50.0.40/24", json().at("/ips/0/address").asString());
    assertEquals("fd50::40/64", json().at("/ips/1/address").asString());
    assertEquals("02:aa:00:00:00:07", json().at("/interfaces/2/mac").asString());
    host.serve(a, 80);
    host.serve(a, 53);
    host.awaitAddresses();
    for (String address : List.of(TestHost.HOST_V4, TestHost.HOST_V6)) {
      assertTrue(Probe.tcp(outside, address, 8080).isPresent(), address);
      assertTrue(Probe.udp(outside, address, 5353).isPresent(), address);
      assertFalse(Probe.udp(outside, address, 8080).isPresent(), address);
    }
    assertEquals(List.of(1_250_000L, 2_500_000L), rates());
    succeed("check", "n", path());
    succeed("del", "n", path());
    assertFalse(Probe.tcp(outside, TestHost.HOST_V4, 8080).isPresent());
    assertEquals(List.of(), rates());
    host.assertNothingLeft("n", a);
  }

  @Test
  void updateReplacesTheArgumentsOfItsOptions() throws Exception {
    NetNs outside = host.outside();
    succeed("add", "n", path(), "-p", "8080:80", "--bandwidth=10M");
    host.serve(a, 80);
    host.awaitAddresses();
    succeed("update", "n", path(), "-p", "8081:80");
    assertTrue(Probe.tcp(outside, TestHost.HOST_V4, 8081).isPresent());
    assertFalse(Probe.tcp(outside, TestHost.HOST_V4, 8080).isPresent());
    assertEquals(List.of(1_250_000L, 1_250_000L), rates()); // stays
    assertEquals(1, cni("update", "second", path(), "--bandwidth", "1M"));
    succeed("add", "second", path(), "-i", "eth1");
    assertEquals(1, cni("update", "second", path(), "-i", "eth1", "--bandwidth", "1M"));
    assertTrue(
        errors().contains("network second takes no capability bandwidth; the plugins declare"),
        this::errors);
    assertEquals(List.of(1_250_000L, 1_250_000L), rates());
  }

  @Test
  void optionsReplaceTheSameCapabilityOfJson() throws Exception {
    String json = "{\"mac\":\"02:aa:00:00:00:08\",\"ips\":[\"10.50.0.9\"]}";
    succeed("add", "n", path(), "--capability-args", json, "--mac=02:aa:00:00:00:07");
    assertEquals("10.50.0.9/24", json().at("/ips/0/address").asString());
    assertEquals("02:aa:00:00:00:07", json().at("/interfaces/2/mac").asString());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "n| {\"portMapings\": []}| network n takes no capability portMapings; the plugins declare"
            + " ips (bridge), mac (bridge), portMappings (portmap), bandwidth (bandwidth). Did you"
            + " mean portMappings?",
        "n| {\"labels\": {}}| network n takes no capability labels; the plugins declare ips (bridge),"
            + " mac (bridge), portMappings (portmap), bandwidth (bandwidth)",
        "plain| {\"ips\": []}| network plain takes no capability ips; no plugin declares any. To"
            + " enable it, add \"capabilities\": {\"ips\": true} to plugin bridge of network plain",
        "plain| {\"gpu\": 1}| network plain takes no capability gpu; no plugin declares any",
      })
  void undeclaredCapabilitiesAreRefused(String network, String json, String message)
      throws Exception {
    assertEquals(1, cni("add", "--capability-args", json, network, path()));
    assertTrue(errors().contains(message), this::errors);
    assertEquals(4, json().path("code").intValue());
    host.assertNothingLeft(network, a);
    assertEquals(List.of(), host.results());
  }

  /** cnitool and scripts set the variable for several networks. */
  @Test
  void environmentMayHaveArgumentsOfOtherNetworks() throws Exception {
    Map<String, String> variable =
        Map.of("CAP_ARGS", "{\"portMappings\":[{\"hostPort\":8080,\"containerPort\":80}]}");
    assertEquals(0, cni(variable, "add", List.of("plain", path())), this::errors);
    assertEquals(0, cni(variable, "del", List.of("plain", path())), this::errors);
    Map<String, String> misspelt = Map.of("CAP_ARGS", "{\"portMapings\":[]}");
    assertEquals(1, cni(misspelt, "add", List.of("plain", path())));
    assertTrue(errors().contains("no capability portMapings"), this::errors);
    assertTrue(errors().contains("Did you mean portMappings?"), this::errors);
    assertEquals(1, cni("add", "plain", path(), "-p", "8080:80"));
    assertTrue(errors().contains("no capability portMappings"), this::errors);
    host.assertNothingLeft("plain", a);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "-p; 80; --publish \"80\" must be HOSTPORT:CONTAINERPORT",
        "--bandwidth; fast; --bandwidth \"fast\" has the value \"fast\"",
        "--ip; 10.50.0; --ip \"10.50.0\" is not an IP address",
        "--mac; 02:xx; --mac \"02:xx\"",
        "--dns; example; --dns \"example\" is not an IP address",
        "-l; app; --label \"app\" must be KEY=VALUE",
        "--named-port; http; --named-port \"http\" must be NAME=PORT",
        "--named-port; http=0; --named-port \"http=0\" has the port \"0\"",
        "-p; 1-65535:1-65535; --publish \"1-65535:1-65535\" has 65535 ports",
        "-p; 224.0.0.1:80:80; --publish \"224.0.0.1:80:80\" has the host address",
        "--mac; 00:00:00:00:00:00; --mac \"00:00:00:00:00:00\" is zero",
        "--mac; 01:00:5e:00:00:01; --mac \"01:00:5e:00:00:01\" is the hardware address of a group",
        "--bandwidth; in=10M,in=5M; --bandwidth \"in=10M,in=5M\" has the key \"in\" twice",
        "--bandwidth; 1000000T; --bandwidth \"1000000T\" is out of range",
        "--dns-search; 'a b'; --dns-search \"a b\" is no domain",
      })
  void malformedValuesAreUsageErrors(String option, String value, String message) throws Exception {
    for (String command : List.of("add", "update")) {
      assertEquals(2, cni(command, option, value, "n", path()), command);
      assertTrue(errors().startsWith("cni: " + message), this::errors);
    }
    assertEquals(2, cni("run", option, value, "-n", "n", "--", "true"));
    assertTrue(errors().startsWith("cni: " + message), this::errors);
    host.assertNothingLeft("n", a);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "-l; app=a; app=b; --label \"app=b\" gives label app another value than \"a\"",
        "--named-port; a=1; a=2; --named-port \"a=2\" gives port a another value than \"1\"",
        "-p; 80:80; 80:81; --publish \"80:81\" publishes host port 80/tcp, which another",
        "-p; [::1]:1-9:1-9/udp; [::1]:9:9/udp; --publish \"[::1]:9:9/udp\" publishes host port 9/udp",
        "-p; 1-4096:1-4096; 5000:80; --publish \"5000:80\" makes 4097 published ports",
      })
  void valuesThatContradictEachOtherAreUsageErrors(
      String option, String first, String second, String message) throws Exception {
    assertEquals(2, cni("add", option, first, option, second, "n", path()));
    assertTrue(errors().startsWith("cni: " + message), this::errors);
  }

  @ParameterizedTest
  @ValueSource(strings = {"add", "update", "run"})
  void helpShowsEachOptionWithAnExample(String command) throws Exception {
    assertEquals(0, cni(command, "--help"));
    String help = out.toString(UTF_8).replaceAll("\\s+", "");
    for (String example :
        List.of(
            "8080:80",
            "--bandwidth",
            "in=10M,out=5M",
            "10.1.0.5/16",
            "02:00:00:00:00:05",
            "10.1.0.1",
            "example.com",
            "app=web",
            "http=8080")) {
      assertTrue(help.contains(example), () -> example + ": " + out.toString(UTF_8));
    }
  }

  /** A host's port can lead to one interface only: it is that of the first network. */
  @Test
  void runDistributesArgumentsToTheNetworksThatDeclareThem() throws Exception {
    NetNs outside = host.outside();
    Path started = host.directory().resolve("started");
    Path stop = host.directory().resolve("stop");
    var run =
        new FutureTask<>(
            () ->
                cni(
                    "run",
                    "-n",
                    "plain",
                    "-n",
                    "second",
                    "-n",
                    "n",
                    "-p",
                    "8080:80",
                    "--bandwidth",
                    "10M",
                    "--",
                    "sh",
                    "-c",
                    "echo $CNI_NETNS > %s.new; mv %s.new %s; until [ -e %s ]; do sleep 0.1; done"
                        .formatted(started, started, started, stop)));
    Thread.ofPlatform().start(run);
    while (!Files.exists(started)) {
      assertFalse(run.isDone(), this::errors);
      Thread.sleep(20);
    }
    try (NetNs container = NetNs.open(Path.of(Files.readString(started).strip()))) {
      host.serve(container, 80);
      host.awaitAddresses();
      assertTrue(Probe.tcp(outside, TestHost.HOST_V4, 8080).isPresent());
      assertTrue(Probe.tcp(outside, TestHost.HOST_V6, 8080).isPresent());
      String rules = TestBed.run(host.netns(), "nft", "list", "ruleset");
      assertTrue(rules.contains("dnat to 10.51.0.2:80"), rules);
      assertFalse(rules.contains("dnat to 10.50.0."), rules);
      assertEquals(List.of(1_250_000L, 1_250_000L), rates());
    } finally {
      Files.createFile(stop);
    }
    assertEquals(0, run.get(), this::errors);
    assertEquals(List.of(), rates());
    host.assertNothingLeft("n");
    host.assertNothingLeft("second");
  }

  @Test
  void runRefusesWhatNoNetworkDeclaresBeforeItAttachesAny() throws Exception {
    Path started = host.directory().resolve("started");
    String[] command = {
      "-n", "plain", "-n", "second", "-l", "app=web", "--", "touch", started.toString()
    };
    assertEquals(1, cni("run", command));
    assertTrue(
        errors()
            .contains(
                "networks plain, second take no capability labels; the plugins declare"
                    + " portMappings (portmap)"),
        this::errors);
    assertFalse(Files.exists(started));
    assertEquals(List.of(), TestBed.linkNames(host.netns(), "bridge"));
  }
}
