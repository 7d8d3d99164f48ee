package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Json;
import cni.netlink.ffm.ChildEnvironment;
import cni.netlink.ffm.ChildProcess;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NetNs;
import cni.netlink.lab.KernelTest;
import cni.netlink.lab.Lab;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.node.ObjectNode;

/** The command as it is shipped: the image, which runs on the module path and without a JDK. */
@KernelTest
class ImageIT {
  private static final Path IMAGE = Path.of("target", "image").toAbsolutePath();
  private static final Duration PATIENCE = Duration.ofMinutes(1);

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

  /** What a run of the command printed. */
  private record Output(int status, String out, String err) {
    ObjectNode json() throws CniException {
      return Json.parse(out, "standard output");
    }
  }

  /** Starts it in the host's namespace, with an environment that knows of no Java. */
  private ChildProcess start(Map<String, String> more, String... arguments) throws KernelException {
    List<String> command = new ArrayList<>(List.of(IMAGE.resolve("bin/cni").toString()));
    command.addAll(List.of(arguments));
    Map<String, String> environment = new HashMap<>(more);
    environment.put("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    environment.put("NETCONFPATH", host.networks().toString());
    environment.put("CNI_PATH", host.executables().toString());
    return host.netns()
        .<ChildProcess, KernelException>call(
            () ->
                ChildProcess.start(
                    command, ChildEnvironment.empty().with(environment), new byte[0], 1 << 20));
  }

  private Output cni(Map<String, String> more, String... arguments) throws Exception {
    List<String> all = new ArrayList<>(List.of(arguments));
    if (!List.of("--help", "--version", "demo").contains(arguments[0])) {
      all.addAll(1, List.of("--cache", host.cache().toString()));
    }
    try (ChildProcess process = start(more, all.toArray(String[]::new))) {
      assertTrue(process.pump(PATIENCE), () -> all + " does not end: " + process.errors());
      return new Output(process.exitStatus().orElse(-1), process.output(), process.errors());
    }
  }

  private Output cni(String... arguments) throws Exception {
    return cni(Map.of(), arguments);
  }

  @Test
  void addCheckAndDeleteAsCnitoolDoes() throws Exception {
    String path = a.path().toString();
    Output added = cni(Map.of("CNI_IFNAME", "net1"), "add", "n", path);
    assertEquals(0, added.status(), added::err);
    assertEquals("10.50.0.2/24", added.json().at("/ips/0/address").asString());
    assertEquals("net1", added.json().at("/interfaces/2/name").asString());
    assertTrue(host.results().getFirst().matches("n-cnitool-[0-9a-f]{20}-net1"));
    assertTrue(Lab.pings(a, "10.50.0.1"));
    Output checked = cni("check", "n", path, "-i", "net1");
    assertEquals(0, checked.status(), checked::err);
    assertEquals("", checked.out());
    Lab.run(a, "ip", "addr", "del", "10.50.0.2/24", "dev", "net1");
    Output differs = cni("check", "n", path, "--ifname", "net1");
    assertEquals(1, differs.status());
    assertTrue(differs.err().contains("10.50.0.2/24 is missing"), differs::err);
    assertEquals(999, differs.json().get("code").intValue());
    assertEquals(0, cni("del", "n", path, "-i", "net1").status());
    assertEquals(0, cni("del", "n", path, "-i", "net1").status());
    host.requireNothingLeft("n", a);
  }

  @Test
  void argumentsComeFromTheEnvironmentOrAsOptions() throws Exception {
    String name = String.valueOf(a.path().getFileName()); // as "ip netns" knows it
    host.dualStack("n", "\"capabilities\": { \"ips\": true },");
    Output added =
        cni(
            Map.of("CAP_ARGS", "{\"ips\":[\"10.50.0.40\"]}", "CNI_ARGS", "MAC=02:aa:00:00:00:07"),
            "add",
            "n",
            name);
    assertEquals("10.50.0.40/24", added.json().at("/ips/0/address").asString(), added::err);
    assertEquals("02:aa:00:00:00:07", added.json().at("/interfaces/2/mac").asString());
    assertEquals(0, cni("del", "n", name).status());
    Output options = cni("add", "n", name, "--args", "IP=10.50.0.41", "--container-id", "mine");
    assertEquals("10.50.0.41/24", options.json().at("/ips/0/address").asString(), options::err);
    assertEquals("n-mine-eth0", host.results().getFirst());
    assertEquals(0, cni("del", "n", name, "--container-id", "mine").status());
    host.requireNothingLeft("n", a);
  }

  @Test
  void failuresAreToldInWordsAndAsJson() throws Exception {
    Output unknown = cni("add", "nope", a.path().toString());
    assertEquals(1, unknown.status());
    assertEquals(7, unknown.json().get("code").intValue());
    assertTrue(unknown.err().startsWith("cni: no network named \"nope\""), unknown::err);
    Output missing = cni("add", "n", "/run/netns/no-such");
    assertEquals(8, missing.json().get("code").intValue());
    Output usage = cni("add", "n");
    assertEquals(2, usage.status());
    assertTrue(usage.err().contains("Usage: cni add"), usage::err);
    Output timeout = cni("add", "n", "x", "--timeout", "soon");
    assertTrue(timeout.err().contains("--timeout soon"), timeout::err);
  }

  @Test
  void helpVersionAndPlugins() throws Exception {
    Output help = cni("--help");
    assertEquals(0, help.status());
    for (String command : List.of("add", "check", "del", "run", "plugins", "demo")) {
      assertTrue(help.out().contains("  " + command + " "), help::out);
    }
    assertTrue(cni("--version").out().contains("CNI specification 1.1.0"));
    host.script("bridge", "exit 1");
    host.script("other", "exit 1");
    String table = cni("plugins").out();
    assertTrue(table.contains("bridge      module cni.plugins.bridge"), table);
    assertTrue(table.contains("host-local  module cni.plugins.ipam"), table);
    assertTrue(table.contains("loopback    module cni.plugins.link"), table);
    assertTrue(table.contains("bin/bridge  (not used: see above)"), table);
    String preferred = cni("plugins", "--executable", "bridge", "--json").out();
    assertTrue(
        preferred.indexOf("bin/bridge") < preferred.indexOf("cni.plugins.bridge"), preferred);
  }

  @Test
  void runJoinsACommandToNetworksAndCleansUp() throws Exception {
    host.network(
        "m", "1.0.0", TestHost.DUAL_STACK.formatted("").replace("50", "51").replace("br0", "br1"));
    Output all =
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
    Output one = cni("run", "--network", "n", "ip", "-o", "link");
    assertTrue(one.out().contains("eth0") && !one.out().contains("eth1"), one::out);
    assertEquals(126, cni("run", "--", "/no/such/command").status());
    assertEquals(128 + 9, cni("run", "--", "sh", "-c", "kill -9 $$").status());
    host.requireNothingLeft("n");
    host.requireNothingLeft("m");
    assertFalse(Lab.run(host.netns(), "ip", "netns", "list").contains("cni-run-"));
  }

  @Test
  void runCleansUpWhenItIsInterrupted() throws Exception {
    String cache = host.cache().toString();
    Path ready = host.cache().resolveSibling("ready");
    String script = "touch " + ready + "; exec sleep 100";
    try (ChildProcess process =
        start(Map.of(), "run", "--cache", cache, "--", "sh", "-c", script)) {
      while (!Files.exists(ready)) {
        assertFalse(process.pump(Duration.ofMillis(20)), process::errors);
      }
      assertEquals(2, host.reservations("n").size());
      process.terminate();
      assertTrue(process.pump(PATIENCE));
    }
    host.requireNothingLeft("n");
    assertFalse(Lab.run(host.netns(), "ip", "netns", "list").contains("cni-run-"));
  }

  @Test
  void theDemonstrationShowsItWorkingAndLeavesNothing() throws Exception {
    String before = Lab.run(host.netns(), "ip", "netns", "list");
    Output demo = cni("demo");
    assertEquals(0, demo.status(), demo::err);
    assertEquals(8, demo.out().lines().filter(line -> line.endsWith("answers")).count());
    assertTrue(demo.out().contains("ADD cni-demo-a-"), demo::out); // noted by the executable
    assertEquals(before, Lab.run(host.netns(), "ip", "netns", "list"));
  }
}
