// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A network that {@code cni init} has written is broken in many ways: {@code cni check}, {@code cni
 * doctor} and {@code cni why} each name the cause first, and what they suggest mends it.
 */
@KernelTest(commands = {"bridge", "ip", "nft", "sh", "sysctl"})
@Isolated("captures the standard streams of the process")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class BreakagesTest {
  private static final String PORTS =
      "{\"portMappings\":[{\"hostPort\":8080,\"containerPort\":80}]}";

  /** Without br_netfilter translated packets are routed and need no hairpin mode. */
  private static final Path BRIDGE_NETFILTER =
      Path.of("/proc/sys/net/bridge/bridge-nf-call-iptables");

  private static final String REPAIR = "Restore the attachment: cni ";
  private static final String MEND = "  mend: ";

  private TestHost host;
  private NetNs outside;
  private NetNs a;
  private NetNs b;
  private String veth;
  private String address;
  private CapturedCommand cni;

  @BeforeAll
  void attachContainers() throws Exception {
    host = new TestHost();
    outside = host.outside();
    shell(host.netns(), "ip route add default via 192.0.2.2");
    shell(host.netns(), "ip -6 route add default via 2001:db8::2");
    a = host.container("a");
    b = host.container("b");
    cni = new CapturedCommand();
    succeed("init", "n");
    InitializedNetworkTest.useDirectories(host, host.networks().resolve("10-n.conflist"));
    succeed("add", "n", text(a), "--container-id", "a", "--capability-args", PORTS);
    veth =
        TestBed.linkNames(host.netns(), "veth").stream()
            .filter(this::isPort)
            .findFirst()
            .orElseThrow();
    succeed("add", "n", text(b), "--container-id", "b");
    cni.close();
    awaitAddresses();
    for (NetNs server : List.of(a, b, outside)) {
      host.serve(server, 80);
    }
    address = shell(a, "ip -4 -o addr show dev eth0 | awk '{print $4}'").strip();
    if (Files.exists(BRIDGE_NETFILTER)) {
      shell(host.netns(), "sysctl -qw net.bridge.bridge-nf-call-iptables=1");
    }
  }

  private boolean isPort(String link) {
    return !link.equals("up0");
  }

  @AfterAll
  void deleteHost() throws IOException {
    host.close();
  }

  @BeforeEach
  void capture() {
    cni = new CapturedCommand();
  }

  @AfterEach
  void release() {
    cni.close();
  }

  private static String text(NetNs netns) {
    return netns.path().toString();
  }

  private static String shell(NetNs netns, String command) throws IOException {
    return TestBed.run(netns, "sh", "-c", command);
  }

  private int run(String command, String... arguments) {
    List<String> line = new ArrayList<>(List.of(command));
    line.addAll(List.of("--cache=" + host.cache(), "--host-netns=" + host.netns().path()));
    if (!command.equals("why")) {
      line.add("--networks=" + host.networks());
      line.add("--path=" + host.executables());
      line.add("--modules=" + host.directory().resolve("modules"));
    }
    line.addAll(List.of(arguments));
    return cni.run(line.toArray(String[]::new));
  }

  private String output() {
    return cni.out() + cni.err();
  }

  private void succeed(String command, String... arguments) {
    assertEquals(0, run(command, arguments), () -> command + ": " + output());
  }

  private void awaitAddresses() throws Exception {
    for (NetNs netns : List.of(host.netns(), a, b)) {
      TestHost.awaitAddresses(netns);
    }
  }

  /** Puts the names of this host into a text of a breakage. */
  private String named(String text) {
    String gateway = address.replaceFirst("\\d+/24$", "1");
    return text.replace("VETH", veth)
        .replace("V4", address)
        .replace("GATEWAY", gateway)
        .replace("NETNS", text(a));
  }

  private String[] packet(Breakage.Path path) {
    return switch (path) {
      case OUT -> new String[] {text(a), TestHost.OUTSIDE_V4 + ":80"};
      case OUT_IPV6 -> new String[] {text(a), "[" + TestHost.OUTSIDE_V6 + "]:80"};
      case LARGE -> new String[] {"-p", "icmp", "--size", "1400", text(a), TestHost.OUTSIDE_V4};
      case NEIGHBOUR -> new String[] {text(a), text(b) + ":80"};
      case PUBLISHED -> new String[] {text(outside), TestHost.HOST_V4 + ":8080"};
      case OWN_PORT -> new String[] {text(a), TestHost.HOST_V4 + ":8080"};
    };
  }

  @ParameterizedTest
  @EnumSource
  void causeIsNamedFirst(Breakage breakage) throws Exception {
    assumeTrue(breakage != Breakage.HAIRPIN_OFF || Files.exists(BRIDGE_NETFILTER));
    assertHealthy(breakage);
    NetNs broken = breakage.place == Breakage.Place.HOST ? host.netns() : a;
    shell(broken, named(breakage.command));
    String remedy = assertCheck(breakage);
    assertDoctor(breakage);
    String hint = assertWhy(breakage);
    if (!remedy.isEmpty()) {
      assertEquals(0, cni.run(remedy.split(" ")), this::output);
    } else if (breakage == Breakage.NEIGHBOUR_WRONG) {
      shell(host.netns(), hint);
    }
    if (breakage.name().startsWith("FORWARD_")) {
      shell(host.netns(), "nft delete table inet foreign");
    }
    awaitAddresses();
    assertHealthy(breakage);
  }

  private void assertHealthy(Breakage breakage) {
    succeed("repair", "n"); // of the other container, which may share what is broken
    succeed("check", "n", text(a));
    succeed("check", "n", text(b));
    succeed("doctor", "n");
    assertTrue(cni.out().endsWith(" examinations, nothing found\n"), this::output);
    succeed("why", packet(breakage.path));
  }

  /** Returns the arguments of the command that the output suggests; empty if there is none. */
  private String assertCheck(Breakage breakage) {
    boolean isFound = !breakage.check.isEmpty();
    assertEquals(isFound ? 1 : 0, run("check", "n", text(a)), this::output);
    if (!isFound) {
      return "";
    }
    List<String> lines = cni.err().lines().toList();
    assertTrue(lines.get(1).startsWith("  1. "), this::output);
    assertTrue(lines.get(1).contains(named(breakage.check)), this::output);
    return lines.stream()
        .filter(it -> it.startsWith(REPAIR))
        .findFirst()
        .orElseThrow()
        .substring(REPAIR.length());
  }

  private void assertDoctor(Breakage breakage) {
    boolean isFound = !breakage.kind.isEmpty();
    assertEquals(isFound ? 1 : 0, run("doctor", "n"), this::output);
    if (isFound) {
      List<String> lines = cni.out().lines().toList();
      assertTrue(lines.getFirst().startsWith("error    " + breakage.kind + "  n"), this::output);
      String finding = lines.get(1) + lines.get(2);
      assertTrue(finding.contains(named(breakage.doctor)), this::output);
    }
  }

  /** Returns what the output suggests; empty if that is nothing. */
  private String assertWhy(Breakage breakage) {
    assertEquals(1, run("why", packet(breakage.path)), this::output);
    List<String> lines = cni.out().lines().toList();
    assertTrue(lines.getFirst().contains(named(breakage.why)), this::output);
    return lines.get(1).startsWith(MEND) ? lines.get(1).substring(MEND.length()) : "";
  }
}
