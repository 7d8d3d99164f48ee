// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.process.ChildEnvironment;
import cni.netlink.ffm.process.ChildProcess;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The command as shipped: the image, which runs on the module path and without a JDK. */
@KernelTest
@Isolated("it lists the namespaces of the machine")
class ImageIT {
  private TestHost host;
  private NetNs a;

  @BeforeEach
  void open() throws IOException {
    host = new TestHost();
    a = host.container("a");
    host.dualStack("n", "");
  }

  @AfterEach
  void close() throws IOException {
    host.close();
  }

  private ImageRunner.CommandOutput cni(Map<String, String> variables, String... arguments)
      throws Exception {
    return new ImageRunner(host).cni(variables, arguments);
  }

  private ImageRunner.CommandOutput cni(String... arguments) throws Exception {
    return cni(Map.of(), arguments);
  }

  @Test
  void addCheckAndDelBehaveLikeCnitool() throws Exception {
    String path = a.path().toString();
    ImageRunner.CommandOutput added = cni(Map.of("CNI_IFNAME", "net1"), "add", "n", path);
    assertEquals(0, added.status(), added::err);
    assertEquals("10.50.0.2/24", added.json().at("/ips/0/address").asString());
    assertEquals("net1", added.json().at("/interfaces/2/name").asString());
    assertTrue(host.results().getFirst().matches("n-cnitool-[0-9a-f]{20}-net1"));
    assertTrue(Probe.ping(a, "10.50.0.1"));
    ImageRunner.CommandOutput checked = cni("check", "n", path, "-i", "net1");
    assertEquals(0, checked.status(), checked::err);
    assertEquals("", checked.out());
    TestBed.run(a, "ip", "addr", "del", "10.50.0.2/24", "dev", "net1");
    ImageRunner.CommandOutput mismatch = cni("check", "n", path, "--ifname", "net1");
    assertEquals(1, mismatch.status());
    assertTrue(mismatch.err().contains("10.50.0.2/24 is missing"), mismatch::err);
    assertEquals(999, mismatch.json().get("code").intValue());
    assertEquals(0, cni("del", "n", path, "-i", "net1").status());
    assertEquals(0, cni("del", "n", path, "-i", "net1").status());
    host.assertNothingLeft("n", a);
  }

  @Test
  void argumentsComeFromTheEnvironmentOrAsOptions() throws Exception {
    String name = String.valueOf(a.path().getFileName()); // as "ip netns" knows it
    host.dualStack("n", "\"capabilities\": { \"ips\": true },");
    ImageRunner.CommandOutput added =
        cni(
            Map.of("CAP_ARGS", "{\"ips\":[\"10.50.0.40\"]}", "CNI_ARGS", "MAC=02:aa:00:00:00:07"),
            "add",
            "n",
            name);
    assertEquals("10.50.0.40/24", added.json().at("/ips/0/address").asString(), added::err);
    assertEquals("02:aa:00:00:00:07", added.json().at("/interfaces/2/mac").asString());
    assertEquals(0, cni("del", "n", name).status());
    ImageRunner.CommandOutput options =
        cni("add", "n", name, "--args", "IP=10.50.0.41", "--container-id", "mine");
    assertEquals("10.50.0.41/24", options.json().at("/ips/0/address").asString(), options::err);
    assertEquals("n-mine-eth0", host.results().getFirst());
    assertEquals(0, cni("del", "n", name, "--container-id", "mine").status());
    host.assertNothingLeft("n", a);
  }

  @Test
  void failuresArePrintedAsTextAndAsJson() throws Exception {
    ImageRunner.CommandOutput unknown = cni("add", "nope", a.path().toString());
    assertEquals(1, unknown.status());
    assertEquals(7, unknown.json().get("code").intValue());
    assertTrue(unknown.err().startsWith("cni: no network named \"nope\""), unknown::err);
    ImageRunner.CommandOutput missing = cni("add", "n", "/run/netns/no-such");
    assertEquals(8, missing.json().get("code").intValue());
    ImageRunner.CommandOutput usage = cni("add", "n");
    assertEquals(2, usage.status());
    assertTrue(usage.err().contains("missing NETNS, as in \"cni add mynet blue\""), usage::err);
    ImageRunner.CommandOutput timeout = cni("add", "n", "x", "--timeout", "soon");
    assertTrue(timeout.err().contains("--timeout: soon is not a time"), timeout::err);
  }

  @Test
  void helpVersionAndPluginListArePrinted() throws Exception {
    ImageRunner.CommandOutput help = cni("--help");
    assertEquals(0, help.status());
    for (String command : List.of("add", "check", "del", "run", "plugins", "demo")) {
      assertTrue(help.out().contains("  " + command + " "), help::out);
    }
    assertTrue(cni("--version").out().contains("CNI specification 1.1.0"));
    host.script("bridge", "exit 1");
    host.script("other", "exit 1");
    String table = cni("plugins").out();
    assertTrue(table.contains("bridge       module cni.plugins.bridge"), table);
    assertTrue(table.contains("host-local   module cni.plugins.ipam"), table);
    assertTrue(table.contains("loopback     module cni.plugins.main"), table);
    assertTrue(table.contains("bin/bridge  (not used: see above)"), table);
    String preferred = cni("plugins", "--executable", "bridge", "--json").out();
    assertTrue(
        preferred.indexOf("bin/bridge") < preferred.indexOf("cni.plugins.bridge"), preferred);
  }

  @Test
  void runJoinsACommandToNetworksAndCleansUp() throws Exception {
    host.network(
        "m", "1.0.0", TestHost.DUAL_STACK.formatted("").replace("50", "51").replace("br0", "br1"));
    ImageRunner.CommandOutput all =
        cni(
            "run",
            "--",
            "sh",
            "-c",
            "ip -o addr show; ls /sys/class/net; ping -c1 -W2 10.51.0.1 && ping -c1 -W2 ::1; exit 7");
    assertEquals(7, all.status(), all::err);
    assertTrue(all.out().contains("10.51.0.2/24") && all.out().contains("fd50::2/64"), all::out);
    assertTrue(all.out().contains("eth1") && all.out().contains("0% packet loss"), all::out);
    assertFalse(all.out().contains("100% packet loss"), all::out);
    ImageRunner.CommandOutput one = cni("run", "--network", "n", "ip", "-o", "link");
    assertTrue(one.out().contains("eth0") && !one.out().contains("eth1"), one::out);
    assertEquals(126, cni("run", "--", "/no/such/command").status());
    assertEquals(128 + 9, cni("run", "--", "sh", "-c", "kill -9 $$").status());
    host.assertNothingLeft("n");
    host.assertNothingLeft("m");
    assertFalse(TestBed.run(host.netns(), "ip", "netns", "list").contains("cni-run-"));
  }

  @Test
  void interruptedRunCleansUp() throws Exception {
    String cache = host.cache().toString();
    Path ready = host.cache().resolveSibling("ready");
    String script = "touch " + ready + "; exec sleep 100";
    try (ChildProcess process =
        new ImageRunner(host).start(Map.of(), "run", "--cache", cache, "--", "sh", "-c", script)) {
      while (!Files.exists(ready)) {
        assertFalse(process.communicate(Duration.ofMillis(20)), process::errorOutput);
      }
      assertEquals(2, host.reservations("n").size());
      process.terminate();
      assertTrue(process.communicate(ImageRunner.TIMEOUT));
    }
    host.assertNothingLeft("n");
    assertFalse(TestBed.run(host.netns(), "ip", "netns", "list").contains("cni-run-"));
  }

  @Test
  void nextRunRemovesWhatAKilledRunLeft() throws Exception {
    Path ready = host.cache().resolveSibling("ready");
    String killed =
        ("$IMAGE/bin/cni run --cache %s -- sh -c 'echo $$ > %s.new; mv %s.new %s; exec sleep 100' & "
                + "run=$!; until [ -e %s ]; do sleep 0.02; done; kill -KILL $run")
            .formatted(host.cache(), ready, ready, ready, ready);
    new ImageRunner(host).shell(Map.of(), killed, "");
    String orphan = Files.readString(ready).strip();
    assertEquals(2, host.reservations("n").size());
    ImageRunner.CommandOutput next = cni("run", "--", "true");
    assertEquals(0, next.status(), next::err);
    host.assertNothingLeft("n");
    assertFalse(TestBed.run(host.netns(), "ip", "netns", "list").contains("cni-run-"));
    assertFalse(ImageRunner.isAlive(orphan), "the command of the killed run goes on");
  }

  @Test
  void interruptedConformanceLeavesNothing() throws Exception {
    Set<String> before = temporaryNames();
    try (ChildProcess process =
        new ImageRunner(host)
            .start(Map.of(), "conformance", "bridge", "--cache", host.cache().toString())) {
      while (temporaryNames().equals(before)) {
        assertFalse(process.communicate(Duration.ofMillis(20)), process::errorOutput);
      }
      assertFalse(process.communicate(Duration.ofSeconds(2)), process::errorOutput);
      process.terminate();
      assertTrue(process.communicate(ImageRunner.TIMEOUT));
      assertTrue(process.errorOutput().contains("interrupted"), process::errorOutput);
    }
    assertEquals(before, temporaryNames());
  }

  /** Returns the namespaces and directories of examinations. */
  private static Set<String> temporaryNames() throws IOException {
    Set<String> names = new TreeSet<>();
    for (Path directory : List.of(NetNs.RUN_DIRECTORY, Path.of("/tmp"))) {
      try (var files = Files.list(directory)) {
        files
            .map(Path::toString)
            .filter(it -> it.contains("/cni-conformance-"))
            .forEach(names::add);
      }
    }
    return names;
  }

  @Test
  void demoSucceedsAndLeavesNothing() throws Exception {
    String before = TestBed.run(host.netns(), "ip", "netns", "list");
    ImageRunner.CommandOutput demo = cni("demo");
    assertEquals(0, demo.status(), demo::err);
    assertEquals(8, demo.out().lines().filter(line -> line.endsWith("answers")).count());
    assertTrue(demo.out().contains("ADD cni-demo-a-"), demo::out); // written by the journal plugin
    assertEquals(before, TestBed.run(host.netns(), "ip", "netns", "list"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"run", "add"})
  void interruptCancelsAdd(String command) throws Exception {
    Path asleep = host.cache().resolveSibling("asleep");
    host.script("slow", "[ $CNI_COMMAND = ADD ] || exit 0\ntouch " + asleep + "; exec sleep 100");
    host.network("n", "1.0.0", TestHost.DUAL_STACK.formatted(""), "{ \"type\": \"slow\" }");
    String cache = host.cache().toString();
    List<String> arguments =
        command.equals("run")
            ? List.of("run", "--cache", cache, "--", "true")
            : List.of("add", "--cache", cache, "n", a.path().toString());
    try (ChildProcess process =
        new ImageRunner(host).start(Map.of(), arguments.toArray(String[]::new))) {
      while (!Files.exists(asleep)) {
        assertFalse(process.communicate(Duration.ofMillis(20)), process::errorOutput);
      }
      process.terminate();
      assertTrue(process.communicate(Duration.ofSeconds(20)), "it still waits for the plugin");
    }
    host.assertNothingLeft("n", a);
    assertFalse(TestBed.run(host.netns(), "ip", "netns", "list").contains("cni-run-"));
  }

  @Test
  void runJoinsNamedNamespaceOrThatOfAProcess() throws Exception {
    String name = String.valueOf(a.path().getFileName());
    ImageRunner.CommandOutput named =
        cni("run", "--with", name, "--", "ip", "-o", "addr", "show", "eth0");
    assertTrue(named.out().contains("10.50.0.2/24"), named::err);
    host.assertNothingLeft("n", a);
    try (ChildProcess sleeper =
        a.<ChildProcess, KernelException>call(
            () ->
                ChildProcess.start(
                    List.of("sleep", "100"), ChildEnvironment.inherited(), new byte[0], 0))) {
      String pid = TestBed.run(host.netns(), "ip", "netns", "pids", name).strip();
      ImageRunner.CommandOutput process =
          cni("run", "--with", pid, "--", "ping", "-c1", "10.50.0.1");
      assertTrue(process.out().contains(" 0% packet loss"), process::err);
      assertFalse(
          sleeper.communicate(Duration.ZERO),
          "a process that was in the namespace before was killed");
    }
    host.assertNothingLeft("n", a);
    ImageRunner.CommandOutput gone = cni("run", "--with", "999999999", "--", "true");
    assertEquals(8, gone.json().get("code").intValue(), gone::err);
  }

  @Test
  void listAndGcSelectAttachments() throws Exception {
    host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted(""));
    NetNs b = host.container("b");
    assertEquals(0, cni("add", "n", a.path().toString(), "--container-id", "first").status());
    assertEquals(0, cni("add", "n", b.path().toString(), "--container-id", "second").status());
    String table = cni("list").out();
    assertEquals(3, table.lines().count(), table);
    assertTrue(
        table.contains("n        first      eth0       10.50.0.2/24 fd50::2/64  -      ok     "),
        table);
    String one = cni("list", "--container-id", "second", "--json").out();
    assertTrue(one.contains("second") && !one.contains("first"), one);
    assertEquals(0, cni("status", "n", a.path().toString()).status());
    assertEquals(0, cni("gc", "n", a.path().toString(), "--valid", "second/eth0").status());
    assertEquals(List.of("n-second-eth0"), host.results());
    assertEquals(2, host.reservations("n").size());
    assertTrue(Probe.ping(b, "10.50.0.1"));
    assertEquals(0, cni("gc", "--all", "n").status());
    host.assertNothingLeft("n", a, b);
    assertEquals(4, cni("gc", "n", "--valid", "x").json().get("code").intValue());
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK
            .formatted("\"forceAddress\": true,")
            .replace("10.50.0.0/24", "10.50.0.0/30"));
    assertEquals(0, cni("add", "n", a.path().toString()).status());
    assertEquals(50, cni("status", "n").json().get("code").intValue());
    cni("del", "n", a.path().toString());
  }

  @Test
  void showAndValidateDescribeTheChain() throws Exception {
    host.script(
        "journal", "echo '{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.4.0\",\"1.0.0\"]}'");
    host.network(
        "n",
        "1.0.0",
        TestHost.DUAL_STACK.formatted("\"capabilities\": { \"ips\": true },"),
        "{ \"type\": \"journal\" }",
        "{ \"type\": \"lost\" }");
    String shown = cni("show", "n").out();
    assertTrue(
        shown.matches(
            "(?s)network n, no version: .*\"lost\" is not known.*"
                + "● bridge +module cni.plugins.bridge +0.1.0 to 1.1.0  capabilities ips\n"
                + "│ └─ host-local +module cni.plugins.ipam +0.1.0 to 1.1.0  ipam of bridge\n"
                + "│\n"
                + "● journal +/[^ ]+/journal +0.4.0 to 1.0.0\n"
                + "│\n"
                + "● lost +not found, neither a module nor an executable\n"),
        shown);
    String file = host.networks().resolve("n.conflist").toString();
    String broken = cni("validate", file).out();
    assertTrue(broken.contains("plugins[2].type \"lost\" names no plugin that exists"), broken);
    host.script("lost", "echo '{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"1.0.0\"]}'");
    assertTrue(cni("validate", file).out().contains("version 1.0.0, capabilities ips"));
    assertEquals("0.4.0\n1.0.0\n", cni("version", "journal").out());
    assertEquals(
        "1.0.0", cni("version", "lost", "--json").json().at("/supportedVersions/0").asString());
    Files.writeString(host.networks().resolve("n.conflist"), "{ \"name\": 1 }");
    broken = cni("validate", file).out();
    assertTrue(broken.contains("name 1 must be a string, not a number"), broken);
  }

  @Test
  void bashCompletionCompletesCommands() throws Exception {
    Path script = host.cache().resolveSibling("completion");
    Files.writeString(script, cni("completion").out());
    String words =
        TestBed.run(
            a,
            "bash",
            "-c",
            "source "
                + script
                + "; COMP_WORDS=(cni st); COMP_CWORD=1; _cni;"
                + " echo ${COMPREPLY[@]}");
    assertEquals("status", words.strip());
  }

  @Test
  void pluginCallsAreRecordedByFlightRecorder() throws Exception {
    Path recording = host.cache().resolveSibling("calls.jfr");
    // The launcher ignores the JVM's variables; the image's java takes options.
    ImageRunner.CommandOutput added =
        new ImageRunner(host)
            .shell(
                Map.of(),
                "exec $IMAGE/lib/jvm/bin/java -XX:StartFlightRecording=filename=%s -m cni.cli/cni.cli.Main add n %s --cache %s"
                    .formatted(recording, a.path(), host.cache()),
                "");
    assertEquals(0, added.status(), added::err);
    String jfr = Path.of(System.getProperty("java.home"), "bin", "jfr").toString();
    String printed =
        TestBed.run(a, jfr, "print", "--events", "cni.PluginCall", recording.toString());
    for (String part :
        List.of(
            "verb = \"ADD\"",
            "type = \"bridge\"",
            "type = \"host-local\"",
            "origin = \"module cni.plugins.bridge\"",
            "network = \"n\"",
            "containerId = \"cnitool-",
            "duration = ",
            "errorCode = 0")) {
      assertTrue(printed.contains(part), printed);
    }
    cni("del", "n", a.path().toString());
  }
}
