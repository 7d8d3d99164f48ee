// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.FirewalldServer;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
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
  private static final List<String> SOURCES = List.of("10.50.0.2/32", "fd50::2/128");

  private TestHost host;
  private NetNs a;
  private FirewalldServer firewalld;

  @BeforeEach
  void open() throws Exception {
    host = new TestHost();
    a = host.container("a");
    host.outside();
    firewalld = FirewalldServer.start(host.netns(), host.ipamData().resolve("firewalld"));
  }

  @AfterEach
  void close() throws IOException {
    firewalld.close();
    host.close();
  }

  private ImageRunner.CommandOutput cni(String verb, String... more) throws Exception {
    List<String> arguments = new ArrayList<>(List.of(verb, "n"));
    arguments.addAll(List.of(more));
    return new ImageRunner(host).cni(firewalld.environment(), arguments.toArray(String[]::new));
  }

  private List<String> sources() throws IOException {
    return firewalld.sources("trusted");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", ", \"backend\": \"firewalld\""}) // detected, or configured
  void containerAddressesAreSourcesOfTheZone(String backend) throws Exception {
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted("\"ipMasq\": true,"),
        "{ \"type\": \"firewall\"" + backend + " }");
    String container = a.path().toString();
    ImageRunner.CommandOutput added = cni("add", container);
    assertEquals(0, added.status(), added::err);
    assertEquals(SOURCES, sources());
    assertFalse(TestBed.run(host.netns(), "nft", "list", "ruleset").contains("CNI-FORWARD"));
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
    assertEquals(0, cni("check", container).status());
    assertEquals(0, cni("del", container).status());
    assertEquals(List.of(), sources());
    assertEquals(0, cni("del", container).status());
  }

  @Test
  void lostSourcesAreFoundByCheckAndRepaired() throws Exception {
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted("\"ipMasq\": true,"),
        "{ \"type\": \"firewall\" }");
    String container = a.path().toString();
    assertEquals(0, cni("add", container).status());
    firewalld.command("--zone=trusted", "--remove-source=10.50.0.2/32");
    ImageRunner.CommandOutput checked = cni("check", container);
    assertTrue(checked.status() != 0);
    assertTrue(checked.err().contains("10.50.0.2/32"), checked::err);
    firewalld.command("--reload"); // forgets the others as well
    assertEquals(List.of(), sources());
    ImageRunner.CommandOutput repaired = cni("repair");
    assertEquals(0, repaired.status(), repaired::err);
    assertEquals(SOURCES, sources());
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
    assertEquals(0, cni("check", container).status());
  }
}
