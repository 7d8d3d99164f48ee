// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentId;
import cni.api.Cidr;
import cni.api.Dns;
import cni.api.Json;
import cni.api.Result;
import cni.api.internal.BootClock;
import cni.plugins.ipam.SpecialFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Lease directories with damaged files, and what the daemon creates under any umask. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD) // a FIFO blocks its reader
class LeaseDirectoryTest {
  @TempDir private Path temporary;

  static Lease lease(String container) {
    return new Lease(
        "n",
        new AttachmentId(container, "eth0"),
        DhcpFamily.IPV4,
        Path.of("/run/netns/none"),
        "1/2",
        new DhcpClientOptions(Map.of(12, new byte[] {'h'}), List.of(1, 3)),
        Duration.ofSeconds(16),
        "",
        Binding.of(
            new Result(
                List.of(),
                List.of(
                    new Result.IpConfig(
                        Cidr.parse("10.1.0.5/16"), Optional.empty(), OptionalInt.empty())),
                List.of(),
                Dns.NONE),
            "10.1.0.1",
            10,
            20,
            30));
  }

  private LeaseDirectory directory() throws IOException {
    return new LeaseDirectory(Files.createDirectories(temporary.resolve("leases")));
  }

  private static List<String> containers(LeaseDirectory directory) throws Exception {
    return directory.readAll().stream().map(it -> it.id().containerId()).toList();
  }

  private static void requireSetAside(LeaseDirectory directory, Path bad) throws Exception {
    assertEquals(List.of("good"), containers(directory));
    assertFalse(Files.exists(bad, LinkOption.NOFOLLOW_LINKS));
    Path aside = directory.path().resolve(bad.getFileName() + ".invalid");
    assertTrue(Files.exists(aside, LinkOption.NOFOLLOW_LINKS));
    directory.write(lease("bad")); // the attachment can have a lease again
    assertEquals(2, directory.readAll().size());
  }

  /** The keys that {@code cni.doctor.traffic.DhcpLease} reads. */
  @Test
  void fileHasTheTimesForMonitoring() throws Exception {
    LeaseDirectory directory = directory();
    directory.write(lease("c"));
    Path file = directory.file("n", new AttachmentId("c", "eth0"), DhcpFamily.IPV4);
    ObjectNode json = Json.parse(Files.readAllBytes(file), file.toString());
    assertEquals("n", json.path("network").asString());
    assertEquals("c", json.path("containerId").asString());
    assertEquals("eth0", json.path("ifName").asString());
    JsonNode binding = json.path("binding");
    assertEquals(BootClock.bootId(), binding.path("boot").asString());
    assertEquals(30_000, binding.path("validFor").asLong());
    long age = BootClock.now().toMillis() - binding.path("obtained").asLong();
    assertTrue(age >= 0 && age < 60_000, binding::toString);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"netns\":\"/run/netns/none\"=\"netns\":\"/run\\u0000/x\"",
        "\"12\"=\"twelve\"",
        "\"12\"=\"99999999999\"",
        "\"requested\":[1=\"requested\":[-1",
        "\"validFor\":30000=\"validFor\":9223372036854775807",
        "\"n\"=\"../n\"",
        "\"ipv4\"=\"ipv5\"",
        "\"ipv4\"=\"ipv6\"",
        "\"10.1.0.1\"=\"server\"",
        "\"address\":\"10.1.0.5/16\"=\"address\":\"fd00::5/64\"",
        "\"binding\"=\"unbound\""
      })
  void leaseWithAnInvalidValueIsSetAside(String change) throws Exception {
    LeaseDirectory directory = directory();
    directory.write(lease("good"));
    String[] replace = change.split("=", -1);
    String text = new String(Json.bytes(lease("bad").toJson()), StandardCharsets.UTF_8);
    String compact = text.replaceAll("\\s*([:,{}\\[\\]])\\s*", "$1");
    assertTrue(compact.contains(replace[0]), compact);
    Path file = directory.file("n", new AttachmentId("bad", "eth0"), DhcpFamily.IPV4);
    Files.writeString(file, compact.replace(replace[0], replace[1]));
    requireSetAside(directory, file);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "\0\0\0", "garbage", "{}", "[]"})
  void fileThatIsNoLeaseIsSetAside(String content) throws Exception {
    LeaseDirectory directory = directory();
    directory.write(lease("good"));
    Path file = directory.file("n", new AttachmentId("bad", "eth0"), DhcpFamily.IPV4);
    Files.writeString(file, content);
    requireSetAside(directory, file);
  }

  @ParameterizedTest
  @EnumSource(SpecialFile.class)
  void specialFileIsSetAside(SpecialFile kind) throws Exception {
    LeaseDirectory directory = directory();
    directory.write(lease("good"));
    Path victim = temporary.resolve("victim");
    Files.write(victim, Json.bytes(lease("other").toJson()));
    Path file = directory.file("n", new AttachmentId("bad", "eth0"), DhcpFamily.IPV4);
    kind.create(file, victim);
    requireSetAside(directory, file);
  }

  @Test
  void leftoversOfKilledProcessesAreDeleted() throws Exception {
    LeaseDirectory directory = directory();
    Path unfinished = Files.writeString(directory.path().resolve("0a.ipv4.lease.unfinished"), "x");
    Path dead = Files.writeString(directory.path().resolve("keeper-dead"), "");
    Files.createDirectories(directory.path().resolve("0b.ipv4.lease.unfinished/content"));
    SpecialFile.FIFO.create(directory.path().resolve("keeper-fifo"), dead);
    try (LeaseOwnerLock owner = LeaseOwnerLock.acquire(directory);
        var manager = new LeaseManager(directory, event -> {})) {
      manager.adopt();
      assertTrue(Files.exists(owner.file()));
      assertTrue(LeaseOwnerLock.isHeld(directory.path(), owner.ownerId()));
    }
    assertFalse(Files.exists(unfinished) || Files.exists(dead));
  }

  @ParameterizedTest
  @CsvSource({"000", "022", "077"})
  void daemonStartsWithDamagedLeasesAndItsSocketHasAFixedMode(String umask) throws Exception {
    LeaseDirectory directory = directory();
    Path bad =
        Files.writeString(directory.path().resolve("0a.ipv4.lease"), "{\"netns\":\"\\u0000\"}");
    Path socket = temporary.resolve("new/run/dhcp.sock");
    Path pid = temporary.resolve("pid");
    Path log = temporary.resolve("log");
    String[] arguments = {
      "-socketpath", "" + socket, "-pidfile", "" + pid, "-leases", "" + directory.path()
    };
    for (int i = 0; i < 2; i++) { // the second replaces the socket of the first, which was killed
      Process process = DhcpDaemonProcess.start(umask, log, arguments);
      try {
        DhcpDaemonProcess.await(process, pid, log);
        assertTrue(new DaemonLeases(socket).isReachable(), () -> "" + socket);
        assertEquals("600", mode(socket));
        assertEquals("700", mode(temporary.resolve("new/run")));
        assertEquals("700", mode(temporary.resolve("new")));
        assertEquals("644", mode(pid));
        assertEquals("" + process.pid(), Files.readString(pid));
        try (var files = Files.list(temporary.resolve("new/run"))) {
          assertEquals(List.of(socket), files.toList());
        }
        assertFalse(Files.exists(bad));
        Process second = DhcpDaemonProcess.start(umask, temporary.resolve("log2"), arguments);
        assertFalse(second.waitFor() == 0);
        assertTrue(Files.readString(temporary.resolve("log2")).contains("another dhcp daemon"));
      } finally {
        process.destroyForcibly().waitFor();
      }
      Files.delete(pid);
    }
  }

  @Test
  void daemonDoesNotDeleteAFileThatIsNoSocket() throws Exception {
    Path log = temporary.resolve("log");
    Path victim = Files.writeString(temporary.resolve("victim"), "precious");
    Path link = Files.createSymbolicLink(temporary.resolve("link"), victim);
    for (Path socket : List.of(victim, link)) {
      Process process =
          DhcpDaemonProcess.start(
              "022", log, "-socketpath", "" + socket, "-leases", "" + temporary.resolve("l"));
      assertFalse(process.waitFor() == 0);
      assertTrue(Files.readString(log).contains("is not the socket of a daemon"));
      assertEquals("precious", Files.readString(victim));
      assertTrue(Files.isSymbolicLink(link));
    }
  }

  @Test
  void pidFileDoesNotFollowALink() throws Exception {
    Path victim = Files.writeString(temporary.resolve("victim"), "precious");
    Path pid = Files.createSymbolicLink(temporary.resolve("pid"), victim);
    Path log = temporary.resolve("log");
    Process process =
        DhcpDaemonProcess.start(
            "022",
            log,
            "-socketpath",
            "" + temporary.resolve("s"),
            "-pidfile",
            "" + pid,
            "-leases",
            "" + temporary.resolve("l"));
    try {
      for (int i = 0; i < 1200 && Files.isSymbolicLink(pid) && process.isAlive(); i++) {
        Thread.sleep(50);
      }
      assertEquals("" + process.pid(), Files.readString(pid));
      assertEquals("precious", Files.readString(victim));
    } finally {
      process.destroyForcibly().waitFor();
    }
  }

  private static String mode(Path file) throws IOException {
    return Integer.toOctalString((Integer) Files.getAttribute(file, "unix:mode") & 07777);
  }
}
