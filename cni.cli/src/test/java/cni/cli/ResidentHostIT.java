// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Json;
import cni.cli.ImageRunner.CommandOutput;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.process.ChildProcess;
import cni.testing.KernelTest;
import cni.testing.NetNsSnapshot;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/** Installed plugins and the command, served by the resident host of the image. */
@KernelTest(commands = {"systemd-socket-activate", "setpriv", "python3"})
class ResidentHostIT {
  /** Names and addresses that the kernel or a plugin chooses anew for each attachment. */
  private static final Pattern CHOSEN =
      Pattern.compile("veth[0-9a-f]{8}|([0-9a-f]{2}:){5}[0-9a-f]{2}|fe80::[0-9a-f:]+");

  private TestHost host;
  private NetNs a;
  private ImageRunner image;

  @BeforeEach
  void open() throws Exception {
    host = new TestHost();
    a = host.container("a");
    image = new ImageRunner(host);
    String directory = host.executables().toString();
    CommandOutput installed = image.cni(Map.of(), "install", "--dir", directory);
    assertEquals(0, installed.status(), installed::err);
  }

  @AfterEach
  void close() throws Exception {
    host.close();
  }

  private Map<String, String> variables(String verb, NetNs container) {
    Map<String, String> variables = new HashMap<>();
    variables.put("CNI_COMMAND", verb);
    variables.put("CNI_CONTAINERID", TestHost.attachment(container).containerId());
    variables.put("CNI_IFNAME", "eth0");
    variables.put("CNI_NETNS", container.path().toString());
    return variables;
  }

  private String config(String previous) {
    return """
        { "cniVersion": "1.1.0", "name": "n", "type": "bridge", "bridge": "br0",
          "isDefaultGateway": true, "ipMasq": true,%s
          "ipam": { "type": "host-local", "dataDir": "%s",
                    "ranges": [[{ "subnet": "10.50.0.0/24" }], [{ "subnet": "fd50::/64" }]] } }
        """
        .formatted(previous.isEmpty() ? "" : " \"prevResult\": " + previous + ",", host.ipamData());
  }

  private CommandOutput bridge(Map<String, String> variables, String previous) throws Exception {
    return image.plugin(host.executables().resolve("bridge"), variables, config(previous));
  }

  private String state() throws Exception {
    return CHOSEN
        .matcher(
            NetNsSnapshot.of(host.netns())
                + "\n"
                + NetNsSnapshot.of(a)
                + "\n"
                + NetNsSnapshot.of(host.ipamData()))
        .replaceAll("*");
  }

  /** Results and the state on the host are those of the image, and every verb was the host's. */
  @Test
  void resultsAndStateAreThoseOfTheImage() throws Exception {
    CommandOutput byImage = bridge(variables("ADD", a), "");
    assertEquals(0, byImage.status(), byImage::out);
    String stateByImage = state();
    assertEquals(0, bridge(variables("DEL", a), byImage.out()).status());
    host.deleteReservations("n"); // the last reserved address decides about the next one
    try (var resident = new ResidentHost(image)) {
      CommandOutput byHost = bridge(resident.callers(variables("ADD", a)), "");
      assertEquals(0, byHost.status(), byHost::out);
      assertEquals(
          CHOSEN.matcher(byImage.out()).replaceAll("*"),
          CHOSEN.matcher(byHost.out()).replaceAll("*"));
      assertEquals(stateByImage, state());
      assertTrue(Probe.ping(a, "10.50.0.1") && Probe.ping(a, "fd50::1"));
      // Either finishes what the other one has begun.
      assertEquals(0, bridge(variables("CHECK", a), byHost.out()).status());
      CommandOutput check = bridge(resident.callers(variables("CHECK", a)), byHost.out());
      assertEquals(0, check.status(), check::out);
      CommandOutput delete = bridge(resident.callers(variables("DEL", a)), byHost.out());
      assertEquals(0, delete.status(), delete::out);
      for (String verb : List.of("STATUS", "GC", "VERSION")) {
        CommandOutput other =
            bridge(
                resident.callers(
                    Map.of("CNI_COMMAND", verb, "CNI_PATH", "/no", "CNI_NETNS", "dummy")),
                "");
        assertEquals(0, other.status(), other::out);
        assertEquals(bridge(Map.of("CNI_COMMAND", verb, "CNI_PATH", "/no"), "").out(), other.out());
      }
      for (String verb : List.of("ADD", "CHECK", "DEL", "STATUS", "GC", "VERSION")) {
        assertEquals(1, resident.answered("bridge", verb), verb);
      }
      assertEquals(0, resident.status().path("refused").asInt(-1));
    }
    host.assertNothingLeft("n", a);
  }

  @Test
  void errorsAreThoseOfTheImage() throws Exception {
    try (var resident = new ResidentHost(image)) {
      for (Map<String, String> changed :
          List.of(
              Map.of("CNI_NETNS", "/no/such/namespace"),
              Map.of("CNI_NETNS", ""),
              Map.of("CNI_CONTAINERID", "../x"),
              Map.of("CNI_COMMAND", "FROBNICATE"),
              Map.of("CNI_ARGS", "IP"))) {
        Map<String, String> variables = variables("ADD", a);
        variables.putAll(changed);
        CommandOutput byHost = bridge(resident.callers(variables), "");
        CommandOutput byImage = bridge(variables, "");
        assertEquals(byImage.status(), byHost.status(), changed::toString);
        assertEquals(byImage.out(), byHost.out());
        assertEquals(1, byHost.status());
      }
      CommandOutput garbage =
          image.plugin(
              host.executables().resolve("bridge"),
              resident.callers(variables("ADD", a)),
              "{ garbage");
      assertEquals(6, garbage.json().path("code").asInt(0), garbage::out);
    }
    host.assertNothingLeft("n", a);
  }

  /** A chain by the command, with an executable that gets the caller's environment. */
  @Test
  void commandIsServedWithTheExecutablesOfTheChain() throws Exception {
    Path seen = host.directory().resolve("seen");
    host.script(
        "mine",
        "echo \"$CNI_COMMAND $MARK\" >> "
            + seen
            + "; [ $CNI_COMMAND != ADD ] || echo '{\"cniVersion\":\"1.0.0\"}'");
    host.network("n", "1.0.0", "{ \"type\": \"mine\" }", TestHost.DUAL_STACK.formatted(""));
    try (var resident = new ResidentHost(image)) {
      Map<String, String> callers = resident.callers(Map.of("MARK", "the caller's"));
      for (String verb : List.of("add", "check", "del")) {
        CommandOutput output = image.cni(callers, verb, "n", a.path().toString());
        assertEquals(0, output.status(), output::err);
      }
      CommandOutput gc = image.cni(callers, "gc", "n");
      assertEquals(0, gc.status(), gc::err);
      assertEquals(1, resident.answered("cni", "add"));
      assertEquals(1, resident.answered("cni", "del"));
    }
    assertEquals(
        List.of("ADD the caller's", "CHECK the caller's", "DEL the caller's"),
        Files.readAllLines(seen).stream().distinct().toList());
    host.assertNothingLeft("n", a);
  }

  /** The kit's callers are in other network namespaces than the host. */
  @ParameterizedTest
  @ValueSource(strings = {"bridge", "portmap", "host-local"})
  void conformanceKitPasses(String type) throws Exception {
    try (var resident = new ResidentHost(image)) {
      CommandOutput report =
          image.cni(
              resident.callers(Map.of()),
              "conformance",
              host.executables().resolve(type).toString());
      assertEquals(0, report.status(), () -> report.out() + report.err());
      assertTrue(resident.answered(type, type.equals("portmap") ? "DEL" : "ADD") > 3);
      // The kit sends a large configuration twice.
      ObjectNode status = resident.status();
      assertEquals(2, status.path("refused").asInt(-1));
      assertEquals("the request is larger than 128 KiB", status.path("lastRefusal").asString(""));
    }
  }

  @Test
  void manyContainersAtOnce() throws Exception {
    List<NetNs> containers = new ArrayList<>();
    for (int i = 0; i < 24; i++) {
      containers.add(host.container("c" + i));
    }
    try (var resident = new ResidentHost(image, "--max-running", "8");
        ExecutorService callers = Executors.newCachedThreadPool()) {
      for (String verb : List.of("ADD", "DEL")) {
        List<Future<CommandOutput>> outputs = new ArrayList<>();
        for (NetNs it : containers) {
          outputs.add(callers.submit(() -> bridge(resident.callers(variables(verb, it)), "")));
        }
        for (Future<CommandOutput> output : outputs) {
          assertEquals(0, output.get().status(), output.get().out());
        }
        if (verb.equals("ADD")) {
          assertEquals(48, host.reservations("n").size());
        }
      }
      assertEquals(24, resident.answered("bridge", "ADD"));
      assertEquals(24, resident.answered("bridge", "DEL"));
    }
    host.assertNothingLeft("n", containers.toArray(NetNs[]::new));
  }

  /** A plugin whose ADD waits until a file exists, as the IPAM plugin of the bridge. */
  private void waitingIpam(Path begun) throws Exception {
    Files.delete(host.executables().resolve("host-local"));
    host.script("host-local", "[ $CNI_COMMAND = ADD ] || exit 0; touch " + begun + "; sleep 100");
  }

  private ChildProcess startWaitingAdd(ResidentHost resident, Path begun) throws Exception {
    waitingIpam(begun);
    ChildProcess add =
        image.start(
            host.executables().resolve("bridge"),
            resident.callers(variables("ADD", a)),
            config(""));
    while (Files.notExists(begun)) {
      assertFalse(add.communicate(Duration.ofMillis(20)), () -> add.output() + add.errorOutput());
    }
    return add;
  }

  @Test
  void hostKilledDuringARequestIsCode11AndDelCleansUp() throws Exception {
    try (var resident = new ResidentHost(image);
        ChildProcess add = startWaitingAdd(resident, host.directory().resolve("begun"))) {
      resident.kill();
      assertTrue(add.communicate(Duration.ofSeconds(20)), "the launcher waits for a dead host");
      assertEquals(1, add.exitStatus().orElse(-1));
      ObjectNode error = Json.parse(add.output(), "the answer");
      assertEquals(11, error.path("code").asInt(0), add::output);
      assertEquals("1.1.0", error.path("cniVersion").asString(""));
      // Without the host the image serves, and removes what is left.
      CommandOutput delete = bridge(resident.callers(variables("DEL", a)), "");
      assertEquals(0, delete.status(), delete::out);
    }
    host.assertNothingLeft("n", a);
    try (var next = new ResidentHost(image)) {
      assertTrue(Files.exists(next.socket()), "the socket of the killed host is in the way");
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void addIsRolledBackWhenItsCallerIsKilledOrTheHostEnds(boolean callerIsKilled) throws Exception {
    try (var resident = new ResidentHost(image, "--drain", "1s");
        ChildProcess add = startWaitingAdd(resident, host.directory().resolve("begun"))) {
      if (callerIsKilled) {
        add.kill();
        long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (resident.answered("bridge", "ADD") == 0) {
          assertTrue(System.nanoTime() < end, "the call goes on without its caller");
        }
      } else {
        resident.terminate();
        assertTrue(add.communicate(Duration.ofSeconds(20)));
        assertEquals(11, Json.parse(add.output(), "answer").path("code").asInt(0), add::output);
        assertTrue(Files.notExists(resident.socket()));
      }
    }
    host.assertNothingLeft("n", a);
  }

  @Test
  void callerInAnotherMountNamespaceIsServedByTheImage() throws Exception {
    try (var resident = new ResidentHost(image)) {
      CommandOutput version =
          image.shell(
              resident.callers(Map.of("CNI_COMMAND", "VERSION")),
              "unshare -m " + host.executables().resolve("bridge"),
              "");
      assertEquals(0, version.status(), version::err);
      assertTrue(version.out().contains("supportedVersions"), version::out);
      assertEquals(0, resident.answered("bridge", "VERSION"));
      assertEquals(1, resident.status().path("refused").asInt(0));
    }
  }

  /** systemd's socket blocks; the host must serve all the same, and end at SIGTERM. */
  @Test
  void socketOfTheServiceManagerIsServed() throws Exception {
    try (var resident = ResidentHost.activated(image)) {
      // The first call starts the host; if that takes more than two seconds, the image answers it.
      for (int i = 0; i < 20; i++) {
        CommandOutput version =
            bridge(resident.callers(Map.of("CNI_COMMAND", "VERSION", "CNI_PATH", "/no")), "");
        assertEquals(0, version.status(), version::err);
      }
      assertTrue(resident.answered("bridge", "VERSION") > 0, resident::log);
      resident.terminate();
      assertTrue(Files.exists(resident.socket()), "the service manager's socket");
    }
  }

  /** Even if the socket's mode let them, other users may not make requests. */
  @Test
  void otherUsersAreRefused() throws Exception {
    try (var resident = new ResidentHost(image)) {
      assertEquals(
          "rw-------",
          PosixFilePermissions.toString(Files.getPosixFilePermissions(resident.socket())));
      Files.setPosixFilePermissions(
          resident.socket(), PosixFilePermissions.fromString("rw-rw-rw-"));
      Files.setPosixFilePermissions(host.directory(), PosixFilePermissions.fromString("rwxr-xr-x"));
      CommandOutput reply =
          image.shell(
              Map.of(),
              "setpriv --reuid=65534 --regid=65534 --clear-groups python3 -c '"
                  + "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
                  + " print(s.recv(100))' "
                  + resident.socket(),
              "");
      assertTrue(reply.out().contains("only root is served"), () -> reply.out() + reply.err());
    }
  }

  @Test
  void secondHostIsRefusedAndStatusWithoutAHostSaysSo() throws Exception {
    try (var resident = new ResidentHost(image)) {
      CommandOutput second =
          image.cni(Map.of(), "serve", "--socket", resident.socket().toString(), "--no-warm-up");
      assertEquals(1, second.status());
      assertTrue(second.err().contains("another host serves"), second::err);
      resident.terminate();
    }
    String nowhere = host.directory().resolve("nowhere").toString();
    CommandOutput status = image.cni(Map.of(), "serve", "--status", "--socket", nowhere);
    assertEquals(1, status.status());
    assertTrue(status.err().contains("no host answers at " + nowhere), status::err);
  }

  /** What the warm-up makes is gone when the host is ready. */
  @Test
  void warmUpLeavesNothing() throws Exception {
    String before = TestBed.run(host.netns(), "ip", "-o", "link");
    try (var resident = new ResidentHost(image)) {
      assertFalse(resident.log().contains("will be slow"), resident::log);
      assertEquals(before, TestBed.run(host.netns(), "ip", "-o", "link"));
      try (var names = Files.list(NetNs.RUN_DIRECTORY)) {
        assertTrue(names.noneMatch(it -> it.toString().contains("cni-warm-up-")));
      }
    }
  }
}
