// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Cidr;
import cni.api.Json;
import cni.policy.PolicyDirectories;
import cni.policy.file.PolicyReader;
import cni.policy.file.Problem;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

/** The files that {@code cni init} writes, and what it refuses. */
@Isolated("captures the standard streams of the process")
class InitCommandTest {
  private final CapturedCommand cni = new CapturedCommand();

  @TempDir private Path directory;

  @AfterEach
  void restoreStreams() {
    cni.close();
  }

  private int init(String... arguments) {
    String[] all = new String[arguments.length + 2];
    all[0] = "init";
    all[1] = "--networks=" + directory.resolve("net.d");
    System.arraycopy(arguments, 0, all, 2, arguments.length);
    return cni.run(all);
  }

  private JsonNode plugins(String file) throws Exception {
    Path path = directory.resolve("net.d").resolve(file);
    return Json.parse(Files.readAllBytes(path), file).path("plugins");
  }

  @Test
  void writesADualStackNetworkThatIsValid() throws Exception {
    assertEquals(0, init("mynet"), cni::err);
    Path file = directory.resolve("net.d/10-mynet.conflist");
    assertTrue(cni.out().startsWith("Wrote " + file + ": bridge cni-mynet, 10."), cni::out);
    assertTrue(cni.out().contains("cni run --networks " + file.getParent() + " -n mynet -- sh"));
    assertEquals("rw-r--r--", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
    JsonNode ranges = plugins("10-mynet.conflist").path(0).path("ipam").path("ranges");
    assertTrue(ranges.path(0).path(0).path("subnet").asString().endsWith(".0/24"));
    assertTrue(ranges.path(1).path(0).path("subnet").asString().matches("fd.*::/64"));
    assertEquals(0, cni.run("validate", file.toString()), cni::err);
    assertTrue(cni.out().contains("bandwidth, mac, portMappings"), cni::out);
  }

  @Test
  void networksDoNotShareSubnetsAndBridges() throws Exception {
    assertEquals(0, init("a-network-with-a-long-name"));
    assertEquals(0, init("a-network-with-another-name", "--no-ipv6", "--plugins=none"));
    JsonNode first = plugins("10-a-network-with-a-long-name.conflist");
    JsonNode second = plugins("20-a-network-with-another-name.conflist");
    assertEquals("cni-a-network-w", first.path(0).path("bridge").asString());
    assertEquals("cni-a-network-2", second.path(0).path("bridge").asString());
    assertEquals(5, first.size());
    assertEquals(1, second.size());
    assertEquals(1, second.path(0).path("ipam").path("ranges").size());
    assertFalse(Cidr.parse(subnet(first)).contains(Cidr.parse(subnet(second)).address()), cni::out);
  }

  private static String subnet(JsonNode plugins) {
    return plugins.path(0).path("ipam").path("ranges").path(0).path(0).path("subnet").asString();
  }

  @Test
  void optionsDecide() throws Exception {
    assertEquals(
        0,
        init(
            "--subnet=198.51.100.77/25",
            "--subnet=2001:db8:5::/64",
            "--bridge=br5",
            "--mtu=1400",
            "--plugins=policy,portmap",
            "--dry-run",
            "n"),
        cni::err);
    JsonNode plugins = Json.parse(cni.out(), "output").path("plugins");
    assertEquals("198.51.100.0/25", subnet(plugins));
    assertEquals("br5", plugins.path(0).path("bridge").asString());
    assertEquals(1400, plugins.path(0).path("mtu").asInt());
    assertEquals("portmap", plugins.path(1).path("type").asString());
    assertEquals("policy", plugins.path(2).path("type").asString());
    assertFalse(Files.exists(directory.resolve("net.d")));
  }

  @Test
  void replacesANetworkOnlyByForce() throws Exception {
    assertEquals(0, init("n"));
    Path file = directory.resolve("net.d/10-n.conflist");
    String before = Files.readString(file);
    assertEquals(1, init("n", "--mtu=1400"));
    assertTrue(cni.err().contains("network n exists in " + file), cni::err);
    assertEquals(before, Files.readString(file));
    assertEquals(0, init("n", "--mtu=1400", "--force"), cni::err);
    assertEquals(1400, plugins("10-n.conflist").path(0).path("mtu").asInt());
    assertEquals(1, directory.resolve("net.d").toFile().list().length);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "--subnet=10.1.0.0/33; has a prefix outside 0 to 32",
        "--subnet=127.0.0.0/30; --subnet 127.0.0.0/30 overlaps the loopback addresses 127.0.0.0/8: give a",
        "--subnet=10.99.0.0/31; --subnet 10.99.0.0/31 is too small for a gateway and a container",
        "--subnet=10.99.0.0/32; give a prefix of at most /30",
        "--subnet=fd99::/127; give a prefix of at most /126",
        "--subnet=224.0.0.0/24; overlaps the multicast addresses",
        "--subnet=255.255.255.0/24; overlaps the reserved addresses",
        "--subnet=0.0.0.0/1; overlaps the unspecified addresses",
        "--subnet=169.254.7.0/24; overlaps the link-local addresses",
        "--subnet=fe80::/64; overlaps the link-local addresses",
        "--subnet=ff02::/64; overlaps the multicast addresses",
        "--bridge=lo; --bridge \"lo\" is an interface of this host that is no bridge: choose another",
        "--plugins=foo; --plugins foo is none of portmap, firewall",
        "--mtu=100; --mtu 100 is not from 1280 to 65535",
        "--bridge=a/b; --bridge \"a/b\" must have 1 to 15 bytes"
      })
  void wrongOptionsWriteNothing(String option, String message) {
    assertEquals(2, init("n", option));
    assertTrue(cni.err().contains(message), cni::err);
    assertFalse(Files.exists(directory.resolve("net.d")));
  }

  @Test
  void aSubnetIsGivenOnce() {
    assertEquals(2, init("n", "--subnet=198.51.100.0/24", "--subnet=198.51.100.128/25"));
    assertTrue(
        cni.err().contains("--subnet 198.51.100.128/25 overlaps 198.51.100.0/24, which is given"),
        cni::err);
    assertFalse(Files.exists(directory.resolve("net.d")));
  }

  @Test
  void theDirectoryOfPoliciesIsANextStep() {
    Path policies = PolicyDirectories.DEFAULT.policies();
    assertEquals(0, init("n", "--plugins=policy"), cni::err);
    assertEquals(
        !Files.isDirectory(policies), cni.out().contains("mkdir -p " + policies), cni::out);
    List<Problem> problems = PolicyReader.readDirectory(directory.resolve("none")).problems();
    assertTrue(problems.getFirst().toString().contains("mkdir -p " + directory.resolve("none")));
  }

  @Test
  void anExistingBridgeCanBeUsedAndNoOtherLink() {
    var checks =
        new NewNetworkChecks(
            new FreeSubnets(List.of()), Map.of("br7", "bridge", "v1", "veth", "eth0", ""));
    assertEquals("br7", checks.bridge("br7"));
    assertEquals("new", checks.bridge("new"));
    for (String name : List.of("v1", "eth0")) {
      assertThrows(IllegalArgumentException.class, () -> checks.bridge(name));
    }
  }

  @Test
  void errorsOfNewcomersPointToInit() {
    String networks = "--networks=" + directory.resolve("net.d");
    String cache = "--cache=" + directory.resolve("cache");
    assertEquals(1, cni.run("status", networks, cache, "mynet"));
    assertTrue(cni.err().contains("does not exist; write one by \"cni init mynet\""), cni::err);
    assertEquals(1, cni.run("run", networks, cache, "--", "true"));
    assertTrue(cni.err().contains("does not exist; write one by \"cni init mynet\""), cni::err);
    assertEquals(0, init("other"));
    assertEquals(1, cni.run("status", networks, cache, "mine"));
    assertTrue(cni.err().contains("no network named \"mine\""), cni::err);
    assertTrue(cni.err().contains("; write one by \"cni init mine\""), cni::err);
  }

  @Test
  void unknownPluginsAreNamedWithTheFileAndTheNearestType() throws Exception {
    assertEquals(0, init("n"));
    Path file = directory.resolve("net.d/10-n.conflist");
    Files.writeString(file, Files.readString(file).replace("portmap", "prtmap"));
    String networks = "--networks=" + file.getParent();
    assertEquals(1, cni.run("status", networks, "--cache=" + directory.resolve("cache"), "n"));
    assertTrue(cni.err().startsWith("cni: " + file + ":32: error: plugins[1].type"), cni::err);
    assertTrue(
        cni.err().contains("plugin type \"prtmap\" is not known (did you mean \"portmap\"?): "),
        cni::err);
  }

  @Test
  void checkOfWhatWasNeverAddedSaysSo() {
    assertEquals(0, init("n", "--plugins=none"));
    Path cache = directory.resolve("cache");
    int status =
        cni.run(
            "check",
            "--networks=" + directory.resolve("net.d"),
            "--cache=" + cache,
            "--container-id=c",
            "n",
            "/proc/self/ns/net");
    assertEquals(1, status);
    assertTrue(
        cni.err()
            .contains("no attachment of container c, interface eth0, to network n is kept in "),
        cni::err);
    assertTrue(cni.err().contains(cache.resolve("results").toString()), cni::err);
  }

  @Test
  void answersOnATerminalDecide() throws Exception {
    var proposal =
        new NetworkTemplate(
            "n",
            "cni-n",
            List.of(Cidr.parse("10.1.0.0/24"), Cidr.parse("fd00::/64")),
            OptionalInt.empty(),
            List.of("portmap"));
    var output = new ByteArrayOutputStream();
    var questions =
        new InitQuestions(
            new BufferedReader(new StringReader("fd01::/64\n10.2.0.7/24\nnone\nbr2\nn\n")),
            new PrintStream(output, true, StandardCharsets.UTF_8),
            new NewNetworkChecks(new FreeSubnets(List.of()), Map.of()));
    assertEquals(
        new NetworkTemplate(
            "n",
            "br2",
            List.of(Cidr.parse("10.2.0.0/24")),
            OptionalInt.empty(),
            List.of("portmap")),
        questions.ask(proposal));
    assertFalse(questions.confirm("Write?"));
    String text = output.toString(StandardCharsets.UTF_8);
    assertTrue(text.contains("IPv4 subnet [10.1.0.0/24]:   fd01::/64 is not an IPv4 subnet"), text);
    assertTrue(text.endsWith("Write? [Y/n] "), text);
  }

  @Test
  void freeSubnetsAvoidWhatIsRouted() {
    assertEquals("10.3.0.0/24", v4("10.1.0.0/16", "10.2.0.128/25", "0.0.0.0/0", "::/0"));
    assertEquals("172.16.0.0/24", v4("10.0.0.0/8"));
    assertEquals("192.168.1.0/24", v4("10.0.0.0/8", "172.16.0.0/12"));
    assertEquals("", v4("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"));
  }

  private static String v4(String... used) {
    return new FreeSubnets(List.of(used).stream().map(Cidr::parse).toList())
        .v4()
        .map(Cidr::toString)
        .orElse("");
  }
}
