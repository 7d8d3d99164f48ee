// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import tools.jackson.databind.JsonNode;

/** The output and the exit status of {@code cni doctor}. */
@KernelTest(commands = {"ip", "sysctl"})
@Isolated("captures the standard streams of the process")
class DoctorCommandTest {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final PrintStream originalOut = System.out;
  private final PrintStream originalErr = System.err;

  @BeforeEach
  void captureStreams() {
    System.setOut(new PrintStream(out, true, UTF_8));
    System.setErr(new PrintStream(out, true, UTF_8));
  }

  @AfterEach
  void restoreStreams() {
    System.setOut(originalOut);
    System.setErr(originalErr);
  }

  private int doctor(TestHost host, String... arguments) {
    out.reset();
    List<String> all = new ArrayList<>(List.of("doctor"));
    all.addAll(List.of("--networks", host.networks().toString()));
    all.addAll(List.of("--path", host.executables().toString()));
    all.addAll(List.of("--modules", host.directory().resolve("modules").toString()));
    all.addAll(List.of("--cache", host.cache().toString()));
    all.addAll(List.of("--host-netns", host.netns().path().toString()));
    all.addAll(List.of(arguments));
    return Main.execute(all.toArray(String[]::new));
  }

  private String output() {
    return out.toString(UTF_8);
  }

  private static NetNs attach(TestHost host) throws Exception {
    host.dualStack("n", "");
    NetNs a = host.container("a");
    try (Cni cni = host.openCni()) {
      cni.network("n").add(TestHost.attachment(a));
    }
    return a;
  }

  @Test
  void healthyAttachmentIsReportedInOneLine(TestHost host) throws Exception {
    NetNs a = attach(host);

    assertEquals(0, doctor(host, "n", a.path().toString()), this::output);
    assertTrue(
        output().lines().toList().getLast().matches("\\d\\d examinations, nothing found"),
        this::output);
  }

  @Test
  void errorsAreReportedWithEvidenceAndRemedy(TestHost host) throws Exception {
    attach(host);
    TestBed.run(host.netns(), "sysctl", "-qw", "net.ipv4.ip_forward=0");

    assertEquals(1, doctor(host, "n"));
    assertEquals(
        List.of(
            "error    forwarding-off  n",
            "  the host does not forward IPv4: containers reach only the host itself",
            "  seen:  net.ipv4.ip_forward = 0"),
        output().lines().limit(3).toList());
    assertTrue(
        output().contains("  mend:  sysctl -w net.ipv4.ip_forward=1  # a file"), this::output);
    assertTrue(output().contains(" examinations, 1 error, "), this::output);

    assertEquals(1, doctor(host, "n", "--json"));
    JsonNode json = Json.parseAny(out.toByteArray(), "standard output");
    JsonNode finding = json.get("findings").get(0);
    assertEquals("forwarding-off", finding.get("kind").asString());
    assertEquals("error", finding.get("severity").asString());
    assertEquals("n", finding.get("networks").get(0).asString());
    assertEquals("net.ipv4.ip_forward = 0", finding.get("evidence").asString());
    assertTrue(json.get("omitted").isEmpty());
    assertTrue(json.get("examinations").asInt() > 35);
  }

  /**
   * The id is one that cnitool derives from the path of a namespace; each change has many rules.
   */
  @Test
  void textHasTheNameOfTheNamespaceAndTheBeginningOfLongEvidence(TestHost host) throws Exception {
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted("\"ipMasq\": true,"),
        "{ \"type\": \"portmap\", \"capabilities\": { \"portMappings\": true } }");
    NetNs a = host.container("a");
    Map<String, JsonNode> ports =
        Map.of(
            "portMappings",
            Json.parseAny(
                "[{\"hostPort\":8080,\"containerPort\":80,\"protocol\":\"tcp\"}]".getBytes(UTF_8),
                "ports"));
    var id = new AttachmentId("cnitool-0123456789abcdef0123", "eth0");
    try (Cni cni = host.openCni()) {
      cni.network("n").add(new Attachment(id, Optional.of(a.path()), Map.of(), ports));
    }
    TestBed.run(host.netns(), "nft", "flush", "ruleset");

    assertEquals(1, doctor(host, "n"));
    assertTrue(output().contains("check-failed  n " + TestBed.nameOf(a) + "/eth0"), this::output);
    assertTrue(output().contains("; --json has them)"), this::output);
    assertTrue(output().lines().allMatch(it -> it.length() < 400), this::output);
    assertEquals(1, doctor(host, "n", "--json"));
    assertTrue(output().contains(id.containerId()), this::output);
    assertTrue(output().lines().anyMatch(it -> it.length() > 400), this::output);
  }

  @Test
  void warningsAloneAreSuccess(TestHost host) throws Exception {
    NetNs a = attach(host);
    for (int i = 0; i < 7; i++) {
      NetNs more = host.container("more" + i);
      try (Cni cni = host.openCni()) {
        cni.network("n").add(TestHost.attachment(more));
      }
      host.delete(more);
    }

    assertEquals(0, doctor(host, "n"), this::output);
    assertTrue(output().contains("warning  namespace-gone  n "), this::output);
    assertTrue(output().contains("2 more of this kind; --json lists them"), this::output);
    assertTrue(output().contains(" examinations, 0 errors, 7 warnings"), this::output);

    assertEquals(0, doctor(host, "n", a.path().toString()), this::output);
    assertTrue(output().contains("nothing found"), this::output);
  }

  @Test
  void unknownNetworkOrNamespaceIsAnError(TestHost host) throws Exception {
    attach(host);

    assertEquals(1, doctor(host, "m"));
    assertTrue(output().contains("no network named \"m\""), this::output);
    assertEquals(1, doctor(host, "n", host.netns().path().toString()));
    assertTrue(output().contains("is not attached to network n"), this::output);
  }

  @Test
  void networkThatIsOnlyAttachedIsExamined(TestHost host) throws Exception {
    attach(host);
    Files.delete(host.networks().resolve("n.conflist"));

    assertEquals(1, doctor(host, "n"));
    assertTrue(output().startsWith("error    config-directory-empty\n"), this::output);
  }
}
