// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/**
 * The plugins as an unprivileged user who is root of a user namespace that was created in one step
 * with the network namespace, as LXC does it. Then /proc/net/ip_tables_names belongs to the
 * machine's root, and the send buffer of a socket is limited.
 */
@KernelTest(commands = {"setpriv", "unshare", "nft"})
class UserNamespaceTest {
  private static final int NOBODY = 65534;

  @Test
  void allVerbsSucceedWhereLegacyTablesCannotBeListed(TestBed bed) throws Exception {
    Path directory = Files.createDirectories(bed.directory().resolve("classes"));
    for (Path open : List.of(bed.directory(), directory)) {
      Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rwxr-xr-x"));
    }
    String script = "mount -t tmpfs run /run && ip link set lo up && exec \"$0\" \"$@\"";
    List<String> command =
        List.of(
            "setpriv",
            "--reuid=" + NOBODY,
            "--regid=" + NOBODY,
            "--clear-groups",
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "--net",
            "sh",
            "-c",
            script,
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            copyClassPath(directory),
            Host.class.getName());
    TestBed.CommandOutput output =
        TestBed.tryRun(bed.netns(), command.toArray(new String[0])); // in a mount namespace below
    assertEquals(0, output.status(), output::text);
    assertTrue(output.text().contains("ip_tables_names: unreadable"), output::text);
    assertTrue(output.text().contains("nftables: done"), output::text);
    assertTrue(output.text().contains("iptables: done"), output::text);
  }

  /** Copies the class path to where every user can read it. */
  private static String copyClassPath(Path directory) throws Exception {
    List<String> copies = new ArrayList<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
      if (Files.exists(Path.of(entry)) && !entry.isEmpty()) {
        Path copy = directory.resolve(copies.size() + "-" + Path.of(entry).getFileName());
        Process cp = new ProcessBuilder("cp", "-rL", entry, copy.toString()).inheritIO().start();
        assertEquals(0, cp.waitFor(), entry);
        copies.add(copy.toString());
      }
    }
    Process chmod =
        new ProcessBuilder("chmod", "-R", "a+rX", directory.toString()).inheritIO().start();
    assertEquals(0, chmod.waitFor());
    return String.join(File.pathSeparator, copies);
  }

  /** The process in the user namespace. */
  static final class Host {
    private static final Path RUN = Path.of("/run");

    /** Enough that the transaction exceeds the usual send buffer. */
    private static final int MAPPINGS = 400;

    private Host() {}

    public static void main(String[] args) throws Exception {
      Path names = Path.of("/proc/self/net/ip_tables_names");
      if (Files.exists(names) && !Files.isReadable(names)) {
        System.out.println("ip_tables_names: unreadable");
      }
      Files.createDirectories(RUN.resolve("net.d"));
      for (String backend : List.of("nftables", "iptables")) {
        useEveryVerb(backend);
        System.out.println(backend + ": done");
      }
    }

    private static void useEveryVerb(String backend) throws Exception {
      write(backend);
      try (NetNs container = NetNs.create("c-" + backend);
          Cni cni =
              Cni.builder()
                  .networks(RUN.resolve("net.d"))
                  .executables(RUN.resolve("bin"))
                  .cache(RUN.resolve("cache"))
                  .build()) {
        Attachment attachment =
            Attachment.of("container-" + backend, container.path(), "eth0")
                .withCapabilityArgs(Map.of("portMappings", mappings()));
        Network network = cni.network("n");
        network.status();
        network.add(attachment);
        assertTrue(ruleset().contains("10.50.0."));
        network.check(attachment);
        network.delete(attachment);
        network.delete(attachment);
        assertFalse(ruleset().contains("10.50.0."), ruleset());
        network.add(attachment);
        Files.delete(RUN.resolve("cache/results/n-container-" + backend + "-eth0"));
        network.gc(Set.of());
        String rest = ruleset();
        assertFalse(rest.contains("dnat to") || rest.contains("container-"), rest);
      }
    }

    private static void write(String backend) throws Exception {
      Files.writeString(
          RUN.resolve("net.d/n.conflist"),
          """
          { "cniVersion": "1.1.0", "name": "n", "plugins": [
            { "type": "bridge", "bridge": "br0", "isGateway": true, "ipMasq": true,
              "ipMasqBackend": "%1$s",
              "ipam": { "type": "host-local", "dataDir": "/run/data", "subnet": "10.50.0.0/24" } },
            { "type": "portmap", "backend": "%1$s", "capabilities": { "portMappings": true } },
            { "type": "firewall" },
            { "type": "bandwidth", "ingressRate": 1000000, "ingressBurst": 100000 },
            { "type": "tuning", "dataDir": "/run/tuning", "mac": "02:00:00:00:00:09",
              "sysctl": { "net.ipv4.conf.IFNAME.arp_filter": "1" } },
            { "type": "sbr" } ] }
          """
              .formatted(backend));
    }

    private static JsonNode mappings() throws Exception {
      String list =
          IntStream.rangeClosed(1, MAPPINGS)
              .mapToObj(
                  it ->
                      "{\"hostPort\":%1$d,\"containerPort\":%1$d,\"protocol\":\"udp\"}"
                          .formatted(it))
              .collect(Collectors.joining(",", "[", "]"));
      return Json.parse(("{\"of\":" + list + "}").getBytes(StandardCharsets.UTF_8), "mappings")
          .get("of");
    }

    private static String ruleset() throws Exception {
      Process nft = new ProcessBuilder("nft", "list", "ruleset").start();
      return new String(nft.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
