// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** What {@code cni check}, {@code cni del} and {@code cni gc} take from the cache and print. */
@KernelTest(commands = "nft")
class CheckAndGcCommandTest {
  private static final String PORTS =
      "{\"portMappings\": [{\"hostPort\": 8080, \"containerPort\": 80, \"protocol\": \"tcp\"}]}";

  private final TestHost host;
  private final NetNs a;
  private final NetNs b;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  CheckAndGcCommandTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
  }

  @BeforeEach
  void configure() throws IOException {
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted(""),
        "{ \"type\": \"portmap\", \"backend\": \"nftables\","
            + " \"capabilities\": { \"portMappings\": true } }");
  }

  /** Runs a command with the host's cache, and returns its exit status. */
  private int run(String command, String... arguments) {
    out.reset();
    err.reset();
    List<String> line = new ArrayList<>(List.of(command, "--cache=cache"));
    line.addAll(List.of(arguments));
    Map<String, String> environment =
        Map.of(
            "PATH", "/usr/sbin:/usr/bin:/sbin:/bin",
            "NETCONFPATH", "net.d",
            "CNI_PATH", "bin",
            "CNI_MODULE_PATH", "modules");
    return HostedCommands.run(
        line,
        new Invocation(
            environment,
            host.directory(),
            new PrintStream(out, true, UTF_8),
            new PrintStream(err, true, UTF_8),
            Optional.of(host.netns().path()),
            builder -> builder.oneShot().build()));
  }

  private void add(NetNs container, String... more) {
    List<String> arguments = new ArrayList<>(List.of("n", container.path().toString()));
    arguments.addAll(List.of(more));
    assertEquals(0, run("add", arguments.toArray(String[]::new)), this::err);
  }

  private String out() {
    return out.toString(UTF_8);
  }

  private String err() {
    return err.toString(UTF_8);
  }

  @Test
  void checkPrintsALineForEachFindingAndTheRemedy() throws Exception {
    add(a, "--capability-args", PORTS);
    assertEquals(0, run("check", "n", a.path().toString()), this::err);
    assertEquals("", out() + err());
    TestBed.run(a, "ip", "link", "set", "eth0", "down");
    TestBed.run(host.netns(), "nft", "flush", "ruleset");
    assertEquals(1, run("check", "n", a.path().toString()));
    List<String> lines = err().lines().toList();
    assertTrue(lines.getFirst().endsWith("interface eth0: 4 differences (code 999)"), err());
    assertTrue(lines.get(1).startsWith("  1. bridge: interface eth0 in the container"), err());
    assertTrue(lines.get(2).endsWith("is missing from the container (follows from 1)"), err());
    assertTrue(lines.get(4).startsWith("  4. portmap: ports [8080/tcp]"), err());
    assertTrue(lines.get(4).contains("\"tcp dport 8080 dnat to 10.50.0.2:80\""), err());
    String remedy = lines.getLast().replace("Restore the attachment: cni ", "");
    assertEquals("repair --cache " + host.directory().resolve("cache") + " n " + a.path(), remedy);
    JsonNode error = Json.parse(out(), "output");
    assertEquals(999, error.path("code").intValue());
    assertEquals(4, error.path("details").asString().lines().count());
    assertEquals(0, run("repair", "n", a.path().toString()), this::err);
    assertEquals(0, run("check", "n", a.path().toString()), this::err);
  }

  /** Runs the command behind the colon of a line, which names the cache that {@link #run} does. */
  private int paste(String line) {
    String command = line.substring(line.indexOf(": cni ") + ": cni ".length());
    List<String> words =
        new ArrayList<>(List.of(command.replaceAll("--cache \\S+ ", "").split(" ", -1)));
    return run(words.removeFirst(), words.toArray(String[]::new));
  }

  @Test
  void lostInterfaceIsMadeAgainWithItsAddressAndPorts() throws Exception {
    add(b);
    add(a, "--capability-args", PORTS);
    TestBed.run(a, "ip", "link", "del", "eth0");
    assertEquals(1, run("check", "n", a.path().toString()));
    String remedy = err().lines().toList().getLast();
    assertTrue(remedy.contains(": cni update ") && remedy.endsWith(" --recreate"), remedy);
    assertEquals(0, paste(remedy), this::err);
    assertEquals(0, run("check", "n", a.path().toString()), this::err);
    String rules = TestBed.run(host.netns(), "nft", "list", "ruleset");
    assertTrue(rules.contains("10.50.0.3:80"), rules);
  }

  @Test
  void checkAndRepairOfAContainerThatIsGoneNameGc() throws Exception {
    add(a, "--container-id", "first");
    host.delete(a);
    assertEquals(1, run("repair", "n", "--container-id", "first"));
    String gc = "cni gc --cache " + host.directory().resolve("cache") + " n";
    assertTrue(err().contains("\"" + gc + "\" removes what is left"), err());
    assertEquals(1, run("check", "n", "--container-id", "first"));
    assertTrue(err().contains("\"" + gc + "\" removes what is left"), err());
    assertEquals(0, paste(": " + gc), this::err);
    assertEquals(List.of(), host.results());
  }

  @Test
  void checkPrintsJson() throws Exception {
    add(a);
    assertEquals(0, run("check", "--json", "n", a.path().toString()), this::err);
    assertEquals(0, Json.parse(out(), "output").path("findings").size());
    TestBed.run(a, "ip", "route", "del", "default");
    assertEquals(1, run("check", "--json", "n", a.path().toString()));
    JsonNode report = Json.parse(out(), "output");
    JsonNode finding = report.path("findings").path(0);
    assertEquals("bridge", finding.path("plugin").asString());
    assertEquals("ROUTE", finding.path("kind").asString());
    assertTrue(finding.path("repairable").booleanValue());
    assertEquals(
        "cni repair --cache " + host.directory().resolve("cache") + " n " + a.path(),
        report.path("remedy").asString());
  }

  @Test
  void checkAndDelFindTheOnlyAttachmentThatFits() throws Exception {
    add(a, "--container-id", "first", "--ifname", "net1", "--capability-args", PORTS);
    assertEquals(0, run("check", "n", a.path().toString()), this::err);
    assertEquals(0, run("check", "n", "--container-id", "first"), this::err);
    TestBed.run(host.netns(), "nft", "flush", "ruleset");
    assertEquals(1, run("check", "n", "--container-id", "first"));
    assertTrue(err().contains("portmap: ports [8080/tcp]"), err());
    assertEquals(2, run("check", "n"));
    assertTrue(err().contains("NETNS"), err());
    assertEquals(0, run("del", "n", "--container-id", "first"), this::err);
    host.assertNothingLeft("n", a);
  }

  @Test
  void severalAttachmentsThatFitAreNamed() throws Exception {
    add(a, "--container-id", "first", "--ifname", "net1");
    add(a, "--container-id", "first", "--ifname", "net2");
    assertEquals(1, run("del", "n", a.path().toString()));
    assertTrue(err().contains("first/net1, first/net2"), err());
    assertEquals(2, host.results().size());
    assertEquals(0, run("del", "n", a.path().toString(), "--ifname", "net1"), this::err);
    assertEquals(0, run("del", "n", a.path().toString()), this::err); // the only one left
    host.assertNothingLeft("n", a);
  }

  @Test
  void gcKeepsWhatExists() throws Exception {
    add(a, "--container-id", "first");
    add(b, "--container-id", "second");
    TestBed.run(b, "ip", "link", "del", "eth0");
    assertEquals(0, run("gc", "--dry-run", "n"), this::err);
    assertTrue(out().contains("container second, interface eth0: would be removed"), out());
    assertTrue(out().contains("n: 1 attachment would be removed, 1 kept"), out());
    assertEquals(2, host.results().size());
    assertEquals(0, run("gc", "n"), this::err);
    assertTrue(out().contains("n: container second, interface eth0: removed"), out());
    assertFalse(out().contains("first"), out());
    assertEquals(List.of("n-first-eth0"), host.results());
    assertEquals(0, run("check", "n", a.path().toString()), this::err);
    assertEquals(0, run("gc", "--all", "n"), this::err);
    host.assertNothingLeft("n", a, b);
  }

  @Test
  void gcWithoutNetworkIsForAllButNotForThoseInUse() throws Exception {
    host.dualStack("m", "");
    add(a, "--container-id", "first");
    assertEquals(0, run("gc", "--dry-run"), this::err);
    assertTrue(out().contains("n: 0 attachments would be removed, 1 kept"), out());
    assertTrue(out().contains("m: 0 attachments would be removed, 0 kept"), out());
    assertEquals(2, run("gc", "--all"));
    assertTrue(err().contains("need a NETWORK"), err());
    assertEquals(List.of("n-first-eth0"), host.results());
  }

  @Test
  void delNotesWhatNothingIsKnownOf() {
    assertEquals(0, run("del", "n", "nope"), this::err);
    assertTrue(err().startsWith("cni: note: /run/netns/nope does not exist, and the cache"), err());
    assertEquals(0, run("del", "n", "--container-id", "nope"), this::err);
    assertEquals("cni: note: the cache has no attachment nope/eth0 to network n\n", err());
    add(a);
    assertEquals(0, run("del", "n", a.path().toString()), this::err);
    assertEquals("", err());
  }

  @Test
  void updateSuggestsTheKeyThatIsMeant() {
    add(a);
    assertEquals(1, run("update", "n", a.path().toString(), "--set", "bridge.mtuu=1400"));
    assertTrue(err().contains("mtuu 1400 is not a known key: did you mean mtu? Nothing"), err());
  }

  @Test
  void updatePlanIsALineForEachChange() {
    add(a);
    assertEquals(
        0, run("update", "n", a.path().toString(), "-p", "8081:80", "--dry-run"), this::err);
    List<String> lines = out().lines().toList();
    assertTrue(lines.getFirst().endsWith("eth0: 3 changes to make"), out());
    assertTrue(lines.get(1).startsWith("  portmap: would map ports [8081/tcp] (rules: "), out());
    assertEquals(4, lines.size(), out());
    assertTrue(lines.stream().skip(1).allMatch(it -> it.startsWith("  portmap: would ")), out());
  }

  @Test
  void recreatedAttachmentIsPrintedWithItsAddresses() {
    add(a);
    String[] recreation = {"update", "n", a.path().toString(), "--set", "bridge.bridge=br7"};
    assertEquals(0, run("update", with(recreation, "--recreate")), this::err);
    assertTrue(out().contains("recreated with 10.50.0.2/24, fd50::2/64\n"), out());
    recreation[4] = "bridge.bridge=br8";
    assertEquals(0, run("update", with(recreation, "--recreate", "--json")), this::err);
    assertTrue(out().contains("\"10.50.0.2/24\""), out());
  }

  /** Returns the arguments of a command, without its name, and more. */
  private static String[] with(String[] command, String... more) {
    return Stream.concat(Arrays.stream(command).skip(1), Arrays.stream(more))
        .toArray(String[]::new);
  }

  @Test
  void exhaustedRangeNamesTheCommandOfGc() throws Exception {
    host.network(
        "n",
        "1.1.0",
        """
        { "type": "bridge", "bridge": "br9",
          "ipam": { "type": "host-local", "dataDir": "@DATA@",
                    "ranges": [[{ "subnet": "10.9.0.0/30" }]] } }
        """);
    add(a);
    assertEquals(1, run("add", "n", b.path().toString()));
    assertTrue(err().contains("run \"cni gc n\""), err());
  }

  @Test
  void gcRefusesUnknownNames() throws Exception {
    add(a, "--container-id", "first");
    for (String wrong : List.of("frist/eth0", "first", "first/eth1")) {
      assertEquals(2, run("gc", "n", "--valid", wrong), wrong);
      assertEquals(4, Json.parse(out(), "output").path("code").intValue(), wrong);
      assertTrue(err().contains("Nothing has been removed"), err());
      assertEquals(List.of("n-first-eth0"), host.results());
    }
    run("gc", "n", "--valid", "frist/eth0");
    assertTrue(err().contains("did you mean first/eth0?"), err());
    assertEquals(2, run("gc", "n", "--all", "--valid", "first/eth0"));
    assertEquals(0, run("gc", "n", "--valid", "first/eth0"), this::err);
    assertEquals(List.of("n-first-eth0"), host.results());
    assertEquals(0, run("gc", "n", "--force", "--valid", "other/eth0"), this::err);
    host.assertNothingLeft("n", a);
  }
}
