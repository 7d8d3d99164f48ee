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
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The firewall plugin with firewalld on a private D-Bus bus. The plugin runs in the image's
 * command, inside the host's namespace and with DBUS_SYSTEM_BUS_ADDRESS, as firewalld is only used
 * in the process's own namespace.
 */
@KernelTest(commands = {"firewalld", "dbus-daemon", "nft"})
class FirewalldIT {
  private static final String BUS =
      """
      <busconfig>
        <type>system</type> <listen>unix:path=@BUS@</listen> <auth>EXTERNAL</auth>
        <policy context="default">
          <allow send_destination="*"/> <allow receive_sender="*"/> <allow own="*"/>
          <allow user="*"/>
        </policy>
      </busconfig>
      """;

  private final Deque<ChildProcess> daemons = new ArrayDeque<>();
  private TestHost host;
  private NetNs a;
  private Path directory;
  private Map<String, String> environment;

  @BeforeEach
  void open() throws Exception {
    host = new TestHost();
    a = host.container("a");
    host.outside();
    directory = Files.createDirectories(host.ipamData().resolve("firewalld"));
    Path bus = directory.resolve("bus");
    environment = Map.of("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=" + bus);
    Path config = directory.resolve("bus.conf");
    Files.writeString(config, BUS.replace("@BUS@", bus.toString()));
    startDaemon("dbus-daemon", "--config-file=" + config, "--nofork");
    await(() -> Files.exists(bus));
    Files.createDirectories(directory.resolve("etc"));
    Files.writeString(directory.resolve("etc/firewalld.conf"), "DefaultZone=block\n");
    startDaemon(
        "firewalld",
        "--nofork",
        "--nopid",
        "--system-config",
        directory.resolve("etc").toString(),
        "--log-file",
        directory.resolve("log").toString());
    await(() -> TestBed.run(host.netns(), "nft", "list", "tables").contains("firewalld"));
    await(() -> querySource("10.1.2.3/32") == 1);
  }

  private void startDaemon(String... command) throws KernelException {
    Map<String, String> with = environment;
    daemons.push(
        host.netns()
            .<ChildProcess, KernelException>call(
                () ->
                    ChildProcess.start(
                        List.of(command),
                        ChildEnvironment.inherited().with(with),
                        new byte[0],
                        1 << 20)));
  }

  private interface Condition {
    boolean holds() throws IOException;
  }

  private static void await(Condition condition) throws Exception {
    for (int i = 0; i < 200; i++) {
      if (condition.holds()) {
        return;
      }
      Thread.sleep(100);
    }
    throw new AssertionError("the daemon does not start within 20 seconds");
  }

  /**
   * Returns the exit status of firewall-cmd --query-source: 0 if it is in zone trusted, 1 if not.
   */
  private int querySource(String source) throws IOException {
    return TestBed.tryRun(
            host.netns(),
            "env",
            "DBUS_SYSTEM_BUS_ADDRESS=" + environment.get("DBUS_SYSTEM_BUS_ADDRESS"),
            "firewall-cmd",
            "--zone=trusted",
            "--query-source=" + source)
        .status();
  }

  @AfterEach
  void close() throws IOException {
    while (!daemons.isEmpty()) {
      daemons.pop().close();
    }
    host.close();
  }

  private ImageRunner.CommandOutput cni(String verb) throws Exception {
    return new ImageRunner(host).cni(environment, verb, "n", a.path().toString());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", ", \"backend\": \"firewalld\""}) // detected, or configured
  void containerAddressesAreSourcesOfTheZone(String backend) throws Exception {
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted("\"ipMasq\": true,"),
        "{ \"type\": \"firewall\"" + backend + " }");
    ImageRunner.CommandOutput added = cni("add");
    assertEquals(0, added.status(), added::err);
    assertEquals(0, querySource("10.50.0.2/32"));
    assertEquals(0, querySource("fd50::2/128"));
    assertFalse(TestBed.run(host.netns(), "nft", "list", "ruleset").contains("CNI-FORWARD"));
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
    assertEquals(0, cni("check").status());
    assertEquals(0, cni("del").status());
    assertEquals(1, querySource("10.50.0.2/32"));
    assertEquals(1, querySource("fd50::2/128"));
    assertEquals(0, cni("del").status());
  }

  @Test
  void checkFailsWhenFirewalldHasLostASource() throws Exception {
    host.network("n", "1.1.0", TestHost.DUAL_STACK.formatted(""), "{ \"type\": \"firewall\" }");
    assertEquals(0, cni("add").status());
    TestBed.run(
        host.netns(),
        "env",
        "DBUS_SYSTEM_BUS_ADDRESS=" + environment.get("DBUS_SYSTEM_BUS_ADDRESS"),
        "firewall-cmd",
        "--zone=trusted",
        "--remove-source=10.50.0.2/32");
    ImageRunner.CommandOutput checked = cni("check");
    assertTrue(checked.status() != 0);
    assertTrue(checked.err().contains("10.50.0.2/32"), checked::err);
  }
}
