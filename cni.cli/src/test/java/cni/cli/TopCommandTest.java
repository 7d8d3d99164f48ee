// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code cni top} and {@code cni metrics} without a terminal. */
@KernelTest(commands = "ping")
@Isolated("captures the standard output of the process")
class TopCommandTest {
  private static final String LONG_ID = "0123456789abcdef".repeat(4);

  private final TestHost host;
  private final NetNs a;
  private final NetNs b;

  TopCommandTest(TestHost host) throws Exception {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
    host.dualStack("n", "");
    try (Cni cni = host.openCni()) {
      cni.network("n").add(Attachment.of(LONG_ID, a.path(), "eth0"));
      cni.network("n").add(Attachment.of("b", b.path(), "eth0"));
    }
    host.awaitAddresses();
  }

  private String cni(String command, String... options) {
    var out = new ByteArrayOutputStream();
    assertEquals(0, run(out, command, options));
    return out.toString(UTF_8);
  }

  private int run(ByteArrayOutputStream out, String command, String... options) {
    List<String> arguments = new ArrayList<>(List.of(command));
    arguments.addAll(
        List.of(
            "--networks", host.networks().toString(),
            "--cache", host.cache().toString(),
            "--host-netns", host.netns().path().toString()));
    arguments.addAll(List.of(options));
    PrintStream original = System.out;
    System.setOut(new PrintStream(out, true, UTF_8));
    try {
      return Main.execute(arguments.toArray(String[]::new));
    } finally {
      System.setOut(original);
    }
  }

  /** The id is one that cnitool derives from the path of a namespace. */
  @Test
  void containerWithoutAnIdOfItsOwnHasTheNameOfItsNamespace() throws Exception {
    NetNs c = host.container("c");
    try (Cni cni = host.openCni()) {
      cni.network("n").add(Attachment.of("cnitool-0123456789abcdef0123", c.path(), "eth0"));
    }
    String shown = cni("top", "--delay", "0");
    assertTrue(shown.contains("\nn        " + TestBed.nameOf(c) + "  eth0"), shown);
    assertFalse(shown.contains("cnitool"), shown);
  }

  @Test
  void unknownNetworkIsAnError() {
    assertEquals(1, run(new ByteArrayOutputStream(), "top", "--delay", "0", "-n", "o"));
    assertEquals(1, run(new ByteArrayOutputStream(), "metrics", "-n", "o"));
  }

  @Test
  void tableHasTheBusiestFirstAndShortIds() throws Exception {
    TestBed.run(a, "ping", "-c", "50", "-i", "0.01", "-s", "1000", "10.50.0.1");
    List<String> lines = cni("top", "--delay", "0").lines().toList();
    assertTrue(
        lines.get(0).startsWith("NETWORK  CONTAINER      INTERFACE  RX B/S"), lines::toString);
    assertTrue(
        lines.get(1).startsWith("n        0123456789ab…  eth0            -"), lines::toString);
    assertTrue(lines.get(2).startsWith("n        b              eth0"), lines::toString);
    assertTrue(
        lines.get(5).matches("n +10\\.50\\.0\\.1-10\\.50\\.0\\.254 +2 +253 +1 %"), lines::toString);
    List<String> byName = cni("top", "--delay", "0", "--sort", "NAME").lines().toList();
    assertTrue(byName.get(1).startsWith("n        0123456789ab…"), byName::toString);
  }

  @Test
  void jsonHasTheRatesBetweenTwoSamples() throws Exception {
    Thread pinging =
        Thread.startVirtualThread(
            () -> {
              try {
                TestBed.run(a, "ping", "-c", "200", "-i", "0.01", "-s", "1000", "10.50.0.1");
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            });
    List<String> lines = cni("top", "-d", "0.5", "--iterations", "2", "--json").lines().toList();
    pinging.join();
    assertEquals(2, lines.size());
    JsonNode last = Json.parse(lines.getLast(), "standard output");
    JsonNode busy = last.path("attachments").get(0);
    assertEquals(LONG_ID, busy.path("containerId").asString());
    double rate = busy.path("rates").path("transmittedBytes").asDouble();
    // up to 100 frames of 1042 bytes a second, fewer on a busy machine
    assertTrue(rate > 10_000 && rate < 150_000, last::toString);
    assertEquals("10.50.0.2/24", busy.path("addresses").get(0).asString());
    assertEquals(2, last.path("pools").get(0).path("used").asInt());
  }

  @Test
  void namesFromTheCacheCannotControlTheTerminal() throws Exception {
    Path entry = host.cache().resolve("results").resolve("n-b-eth0");
    ObjectNode content = Json.parse(Files.readAllBytes(entry), entry.toString());
    content
        .putObject("capabilityArgs")
        .putArray("portMappings")
        .addObject()
        .put("hostIP", "\033[2J\u202e")
        .put("hostPort", 1)
        .put("containerPort", 2);
    Files.write(entry, Json.bytes(content));
    String shown = cni("top", "--delay", "0");
    assertTrue(shown.contains("10.50.0.2"), shown);
    assertFalse(shown.contains("\033"), shown);
  }

  @Test
  void metricsArePrintedOnceForTheSelectedNetworks() throws Exception {
    host.dualStack("other", "");
    String all = cni("metrics");
    assertTrue(all.contains("cni_attachments{network=\"n\",state=\"present\"} 2\n"), all);
    assertTrue(all.startsWith("# HELP cni_build_info "), all);
    String none = cni("metrics", "--network", "other");
    assertFalse(none.contains("network=\"n\""), none);
  }
}
