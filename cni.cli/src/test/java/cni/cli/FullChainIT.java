// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.process.ChildProcess;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A full chain run by the image: killed at each step, collected, traced for started processes. */
@KernelTest(commands = {"nft", "tc", "strace"})
class FullChainIT {
  private static final String PORTS =
      "{\"portMappings\":[{\"hostPort\":8080,\"containerPort\":80,\"protocol\":\"udp\"}]}";
  private static final int ROUNDS = 3;

  /** Text in the host's state that appears after each step of the chain, in order. */
  private static final List<String> STEP_MARKERS =
      List.of(
          "br0:",
          "veth",
          "macspoofchk-",
          ", net: n, if: eth0",
          "dnat to",
          "jump CNI-FORWARD",
          "bwp");

  private static final Pattern EXECUTED = Pattern.compile("execve\\(\"([^\"]+)\".*= 0");

  private TestHost host;
  private NetNs a;
  private ImageRunner image;

  @BeforeEach
  void open() throws IOException {
    host = new TestHost();
    a = host.container("a");
    image = new ImageRunner(host);
    Files.createDirectories(host.ipamData());
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted(
            "\"ipMasq\": true, \"ipMasqBackend\": \"nftables\", \"macspoofchk\": true,"),
        "{ \"type\": \"tuning\", \"mtu\": 1400, \"dataDir\": \"@DATA@/tuning\" }",
        "{ \"type\": \"portmap\", \"backend\": \"nftables\","
            + " \"capabilities\": { \"portMappings\": true } }",
        "{ \"type\": \"firewall\", \"backend\": \"iptables\" }",
        "{ \"type\": \"bandwidth\", \"ingressRate\": 1000000000, \"ingressBurst\": 1000000,"
            + " \"egressRate\": 1000000000, \"egressBurst\": 1000000 }",
        "{ \"type\": \"sbr\" }");
  }

  @AfterEach
  void close() throws IOException {
    host.close();
  }

  private String[] commandLine(String verb) {
    return verb.equals("gc")
        ? new String[] {"gc", "--all", "--cache", host.cache().toString(), "n"}
        : new String[] {
          verb,
          "--cache",
          host.cache().toString(),
          "--capability-args",
          PORTS,
          "n",
          a.path().toString()
        };
  }

  private void run(String verb) throws Exception {
    try (ChildProcess process = image.start(Map.of(), commandLine(verb))) {
      assertTrue(process.communicate(ImageRunner.TIMEOUT));
      assertEquals(0, process.exitStatus().orElse(-1), process::errorOutput);
    }
  }

  @Test
  void gcRemovesEverythingLeftByKilledAdd() throws Exception {
    var random = new Random(11);
    for (int round = 0; round < ROUNDS; round++) {
      for (String marker : STEP_MARKERS) {
        try (ChildProcess process = image.start(Map.of(), commandLine("add"))) {
          long deadline = System.nanoTime() + ImageRunner.TIMEOUT.toNanos();
          while (!state().contains(marker)) {
            assertTrue(
                System.nanoTime() < deadline,
                () -> marker + " does not appear: " + describeState());
          }
          Thread.sleep(random.nextInt(20)); // sometimes into the next step
          process.kill();
        }
        run("gc");
        assertTrue(isClean(), () -> "after " + marker + ": " + describeState());
        host.assertNothingLeft("n", a);
        assertEquals(List.of(), TestBed.linkNames(host.netns(), "ifb"));
        assertEquals("", TestBed.run(a, "ip", "rule", "list", "table", "100"));
      }
    }
    run("add");
    run("check");
    run("del");
  }

  @Test
  void killedAddBlocksNextAddUntilGc() throws Exception {
    Files.writeString(
        host.networks().resolve("n.conflist"),
        Files.readString(host.networks().resolve("n.conflist"))
            .replace("{ \"type\": \"sbr\" }", "{ \"type\": \"slow\" }"));
    host.script("slow", "[ $CNI_COMMAND = ADD ] || exit 0\nsleep 30");
    try (ChildProcess process = image.start(Map.of(), commandLine("add"))) {
      while (TestBed.linkNames(host.netns(), "ifb").isEmpty()) {
        Thread.sleep(20);
      }
      process.kill();
    }
    try (ChildProcess again = image.start(Map.of(), commandLine("add"))) {
      assertTrue(again.communicate(ImageRunner.TIMEOUT));
      assertTrue(again.errorOutput().contains("exists already"), again::errorOutput);
    }
    run("gc");
    assertTrue(isClean(), this::describeState);
    host.assertNothingLeft("n", a);
  }

  private boolean isClean() throws IOException {
    String state = state();
    return !state.contains(TestHost.attachment(a).containerId())
        && !state.contains("10.50.0.")
        && !state.contains("fd50::")
        && !state.contains("veth")
        && !state.contains("bwp");
  }

  private String state() throws IOException {
    String addresses = TestBed.run(host.netns(), "ip", "-o", "link");
    return TestBed.run(host.netns(), "nft", "list", "ruleset") + addresses;
  }

  private String describeState() {
    try {
      return state();
    } catch (IOException e) {
      return e.toString();
    }
  }

  @Test
  void noVerbStartsAProcess() throws Exception {
    Set<String> executed = new TreeSet<>();
    for (String verb : List.of("add", "check", "del", "gc")) {
      String[] command = commandLine(verb);
      List<String> traced =
          new ArrayList<>(List.of("strace", "-f", "-e", "trace=execve", "-o", traceFile(), "env"));
      traced.add("NETCONFPATH=" + host.networks());
      traced.add("CNI_PATH=" + host.executables());
      traced.add("CNI_HOST_SOCKET=none");
      traced.add(ImageRunner.IMAGE.resolve("bin/cni").toString());
      traced.addAll(List.of(command));
      TestBed.run(host.netns(), traced.toArray(String[]::new));
      Matcher execution = EXECUTED.matcher(Files.readString(Path.of(traceFile())));
      while (execution.find()) {
        executed.add(execution.group(1).replaceFirst(".*/", ""));
      }
    }
    executed.remove("cni-jvm"); // the native launcher executes it
    assertEquals(Set.of("cni", "env", "java"), executed);
    host.assertNothingLeft("n", a);
  }

  private String traceFile() {
    return host.ipamData().resolve("trace").toString();
  }
}
