// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Json;
import cni.netlink.ffm.process.ChildProcess;
import cni.testing.KernelTest;
import cni.testing.ReferencePlugins;
import cni.testing.TestBed;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/**
 * The resident host as a service of systemd, installed and upgraded by the commands of
 * docs/resident-host.md.
 */
@KernelTest(commands = {"systemctl", "systemd-analyze", "nsenter", "unshare", "ss", "python3"})
class SystemdIT {
  private static final Path DOCUMENTATION = Path.of("../docs/resident-host.md");
  private static final Duration CALL_TIME = Duration.ofSeconds(30);

  /** A host-local whose ADD leaves a daemon and waits for two seconds. */
  private static final String SLOW_IPAM =
      """
      cat >/opt/cni/bin/slow <<'END'
      #!/bin/sh
      [ "$CNI_COMMAND" = ADD ] || exec /opt/cni/bin/host-local
      setsid sleep 300 </dev/null >/dev/null 2>&1 &
      echo $! >/run/daemon
      echo $$ >/run/begun
      sleep 2
      exec /opt/cni/bin/host-local
      END
      chmod 755 /opt/cni/bin/slow
      """;

  /** A chain whose plugins need what a unit's settings could take away. */
  private static final String NETWORKS =
      """
      ip link add m0 type veth peer name m1
      ip link set m0 up
      ip link set m1 up
      mkdir /opt/networks
      cat >/opt/networks/chain.conflist <<'END'
      { "cniVersion": "1.0.0", "name": "chain", "plugins": [
        { "type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipMasq": true,
          "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.51.0.0/24" }]] } },
        { "type": "portmap", "backend": "nftables", "capabilities": { "portMappings": true } },
        { "type": "firewall" },
        { "type": "bandwidth", "ingressRate": 8000000, "ingressBurst": 8000000 },
        { "type": "tuning", "mtu": 1400, "sysctl": { "net.core.somaxconn": "477" } },
        { "type": "theirs", "sysctl": { "net.ipv4.conf.all.arp_ignore": "1" } } ] }
      END
      cat >/opt/networks/mac.conflist <<'END'
      { "cniVersion": "1.0.0", "name": "mac", "plugins": [
        { "type": "macvlan", "master": "m0",
          "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.52.0.0/24" }]] } } ] }
      END
      """;

  private final TestBed bed;
  private SystemdMachine machine;

  SystemdIT(TestBed bed) {
    this.bed = bed;
  }

  @BeforeEach
  void install() throws Exception {
    machine = new SystemdMachine(bed);
    run(documented("mkdir -p /opt/cni"));
    run("ip netns add a; ip netns add b");
  }

  @AfterEach
  void close() throws Exception {
    if (machine != null) {
      machine.close();
    }
  }

  private static Map<String, String> bridgeWith(String ipam) {
    return Map.of(
        "CONFIG",
        """
        { "cniVersion": "1.1.0", "name": "n", "type": "bridge", "bridge": "br0",
          "isDefaultGateway": true, "ipMasq": true,
          "ipam": { "type": "%s",
                    "ranges": [[{ "subnet": "10.50.0.0/24" }], [{ "subnet": "fd50::/64" }]] } }
        """
            .formatted(ipam));
  }

  private String run(String script) throws Exception {
    return machine.run(bridgeWith("host-local"), script).strip();
  }

  /** Returns the documentation's block of commands that begins with a line. */
  private static String documented(String first) throws IOException {
    List<String> block = new ArrayList<>();
    for (String line : Files.readAllLines(DOCUMENTATION)) {
      boolean begins = line.equals("    " + first);
      if (begins || (!block.isEmpty() && line.startsWith("    "))) {
        block.add(line.strip());
      } else if (!block.isEmpty()) {
        break;
      }
    }
    assertFalse(block.isEmpty(), first);
    return String.join("\n", block) + "\n";
  }

  /** Writes a drop-in for a unit. */
  private void configure(String unit, String settings) throws Exception {
    String directory = "/etc/systemd/system/" + unit + ".d";
    run("mkdir " + directory + "; printf '" + settings + "' >" + directory + "/test.conf");
    run("systemctl daemon-reload");
  }

  private JsonNode status() throws Exception {
    return Json.parse(run("$cni serve --status --format json"), "the status");
  }

  private int answered(String name, String verb) throws Exception {
    for (JsonNode it : status().path("calls")) {
      if (it.path("name").asString("").equals(name) && it.path("verb").asString("").equals(verb)) {
        return it.path("served").asInt(0);
      }
    }
    return 0;
  }

  /** Starts an ADD that takes two seconds, and waits until it is in flight. */
  private ChildProcess startSlowAdd() throws Exception {
    run(SLOW_IPAM);
    ChildProcess add = machine.enter(bridgeWith("slow"), "call ADD a");
    run("await '[ -s /run/begun ]'");
    return add;
  }

  private void assertNothingLeft() throws Exception {
    assertEquals(List.of(), TestBed.linkNames(bed.netns(), "veth"));
    assertEquals("", run("find /var/lib -name '*.*.*.*' -o -name '*::*'"));
  }

  @Test
  void unitsAreValidAndTheServiceIsActive() throws Exception {
    assertEquals("", run("systemd-analyze verify /etc/systemd/system/cni.* 2>&1"));
    assertEquals("running", run("systemctl is-system-running"));
    assertEquals("active active 0", run("echo $(state cni.socket) $(state cni) $(restarts)"));
    assertEquals("30s", run("systemctl show -p WatchdogUSec --value cni").strip());
    run("[ $(readlink /proc/1/ns/mnt) = $(readlink /proc/$(main_pid)/ns/mnt) ]");
    run("systemctl stop cni.socket cni.service; version");
    assertEquals("inactive inactive", run("echo $(state cni.socket) $(state cni)"));
    assertEquals("", run("ls /run/cni"));
  }

  @Test
  void firstCallStartsTheService() throws Exception {
    run("systemctl stop cni.socket cni.service; systemctl start cni.socket");
    assertEquals("inactive", run("state cni"));
    run("version; await '[ $(state cni) = active ]'; version");
    assertTrue(answered("bridge", "VERSION") > 0, machine::log);
  }

  @Test
  void callsAreServed() throws Exception {
    run("call ADD a; ip netns exec a ping -c 1 10.50.0.1; ip netns exec a ping -c 1 fd50::1");
    assertEquals("10.50.0.2 fd50::2", run("cd /var/lib/cni/networks/n; echo 10.* fd50*"));
    run("call DEL a");
    assertEquals(1, answered("bridge", "ADD"));
    assertEquals(1, answered("bridge", "DEL"));
    assertEquals(0, status().path("refused").asInt(-1));
    assertNothingLeft();
  }

  /** nftables, tc, sysctls, and executables of others; the image finds all that the host made. */
  @Test
  @KernelTest(
      reference = true,
      commands = {"nft", "tc"})
  void chainWithExecutablesIsServed() throws Exception {
    run(NETWORKS + "cp " + ReferencePlugins.directory() + "/tuning /opt/cni/bin/theirs");
    String environment =
        """
        export NETCONFPATH=/opt/networks CNI_PATH=/opt/cni/bin
        export CAP_ARGS='{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}'
        """;
    run(environment + "$cni add chain a; $cni check chain a; $cni add mac b");
    assertEquals(2, answered("cni", "add"));
    run("nft list ruleset | grep 8080; tc qdisc show | grep tbf");
    run("ip netns exec a ip link show eth0 | grep 'mtu 1400'");
    run("ip netns exec b ip -d link show eth0 | grep 'macvlan mode bridge'");
    String sysctls = "sysctl -n net.core.somaxconn net.ipv4.conf.all.arp_ignore";
    assertEquals("477\n1", run("ip netns exec a " + sysctls));
    run(environment + "export CNI_HOST_SOCKET=none; $cni check chain a; $cni del chain a");
    run(environment + "$cni del mac b; ip link del m0");
    assertEquals(0, status().path("refused").asInt(-1));
    assertEquals("", run("nft list ruleset 2>/dev/null | grep 8080 || :"));
    assertEquals("", run("find /run/cni /var/lib/cni/results -type f"));
    assertNothingLeft();
  }

  @Test
  void killedHostIsRestartedWhileCallsGoOn() throws Exception {
    run(
        """
        for i in 1 2; do
          signal KILL
          version
          await '[ $(restarts) = '$i' ] && [ $(state cni) = active ]'
        done
        """);
    int before = answered("bridge", "VERSION");
    run("version");
    assertEquals(before + 1, answered("bridge", "VERSION"));
  }

  @Test
  void hangingHostIsEndedByTheWatchdogAndCallsRunTheImage() throws Exception {
    configure("cni.service", "[Service]\\nWatchdogSec=5s\\n");
    run("systemctl restart cni; signal STOP; await 'grep \"^State:.T\" /proc/$(main_pid)/status'");
    run("call ADD a");
    run("await '[ $(restarts) -gt 0 ]'; await '[ $(state cni) = active ]'; call DEL a");
    assertEquals(1, answered("bridge", "DEL"));
    assertNothingLeft();
  }

  @Test
  void restartWaitsForCallsInFlightAndTheirDaemonsGoOn() throws Exception {
    try (ChildProcess add = startSlowAdd()) {
      run("systemctl restart cni");
      assertTrue(add.communicate(CALL_TIME));
      assertEquals(0, add.exitStatus().orElse(-1), () -> add.output() + machine.log());
    }
    assertEquals("active 0 0", run("echo $(state cni) $(restarts) $(failed)"));
    run("kill $(cat /run/daemon); call DEL a");
    assertEquals(1, answered("bridge", "DEL"));
    assertNothingLeft();
  }

  @Test
  void executablesInFlightEndWithAKilledHost() throws Exception {
    try (ChildProcess add = startSlowAdd()) {
      run("signal KILL");
      assertTrue(add.communicate(CALL_TIME));
      assertEquals(11, Json.parse(add.output(), "the answer").path("code").asInt(0), machine::log);
    }
    run("await '! kill -0 $(cat /run/begun)'; await '[ $(state cni) = active ]'; call DEL a");
    assertNothingLeft();
  }

  /** The starts take so long that systemd's default limit, five in ten seconds, is not reached. */
  @Test
  void hostThatCannotStartLosesItsSocket() throws Exception {
    configure(
        "cni.service", "[Service]\\nExecStart=\\nExecStart=/bin/sh -c \"sleep 1.5; exit 1\"\\n");
    run("systemctl restart cni || :; await '[ $(state cni.socket) = failed ]'");
    run("[ ! -e /run/cni/cni.sock ]; version");
    run("rm -r /etc/systemd/system/cni.service.d; systemctl daemon-reload");
    run("systemctl reset-failed cni.service cni.socket; systemctl start cni.socket cni.service");
    run("version");
    assertEquals(1, answered("bridge", "VERSION"));
  }

  /** The reason why the unit has none of the options that create a mount namespace. */
  @Test
  void hostWithAMountNamespaceRefusesCallers() throws Exception {
    configure("cni.service", "[Service]\\nPrivateTmp=yes\\n");
    run("systemctl restart cni; version");
    String status = run("$cni serve --status 2>&1 || :");
    assertTrue(status.contains("the caller is in another mount namespace"), status);
  }

  @Test
  void dhcpDaemonServesASocketOfSystemd() throws Exception {
    configure("cni.socket", "[Socket]\\nListenStream=/run/cni/dhcp.sock\\n");
    run("systemctl stop cni.socket cni.service; systemctl start cni.socket cni.service");
    run(
        """
        cat >/run/connect.py <<'END'
        import socket
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(30)
        s.connect("/run/cni/dhcp.sock")
        s.sendall(b"CONNECT /nowhere HTTP/1.0\\r\\n\\r\\n")
        assert s.recv(4) == b"HTTP"
        END
        python3 /run/connect.py
        """);
    assertFalse(machine.log().contains("nothing serves"), machine::log);
    assertEquals("1", run("ss -xlH src /run/cni/dhcp.sock | wc -l"));
    run("systemctl stop cni.service; [ -S /run/cni/dhcp.sock ]");
  }

  @Test
  void callsGoOnDuringAnUpgrade() throws Exception {
    String copy = "cp -a --no-preserve=ownership cni.cli/target/image /opt/cni/image-2";
    String calls = "while [ ! -e /run/upgraded ]; do version; echo .; done";
    try (ChildProcess caller = machine.enter(bridgeWith("host-local"), calls)) {
      run(documented(copy) + "touch /run/upgraded");
      assertTrue(caller.communicate(CALL_TIME));
      assertEquals(0, caller.exitStatus().orElse(-1), caller::errorOutput);
      assertTrue(caller.output().length() > 10, caller::output);
    }
    assertEquals("/opt/cni/image-2/bin/cni", run("readlink -f /opt/cni/bin/bridge"));
    assertEquals("/opt/cni/image-2/lib/jvm/bin/java", run("readlink /proc/$(main_pid)/exe"));
    run("version");
    assertTrue(answered("bridge", "VERSION") > 0);
  }
}
