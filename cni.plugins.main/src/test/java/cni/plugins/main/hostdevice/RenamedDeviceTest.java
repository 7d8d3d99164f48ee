// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.hostdevice;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** DEL of the host-device plugin after the container has renamed the device. */
@KernelTest
class RenamedDeviceTest {
  private static final String MAC = "02:00:00:00:00:01";

  private final TestHost host;
  private final NetNs a;

  RenamedDeviceTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    onHost("ip link add nic0 address " + MAC + " type ifb");
  }

  private void onHost(String command) throws IOException {
    TestBed.run(host.netns(), command.split(" ", -1));
  }

  private void inContainer(String command) throws IOException {
    TestBed.run(a, command.split(" ", -1));
  }

  private Network network(String name, String device) throws IOException, CniException {
    host.network(
        name,
        "1.1.0",
        """
        { "type": "host-device", %s,
          "ipam": { "type": "host-local", "dataDir": "@DATA@",
                    "ranges": [[{ "subnet": "192.0.2.0/24" }]] } }
        """
            .formatted(device));
    Cni cni = host.openCni();
    return cni.network(name);
  }

  private void rename() throws IOException {
    inContainer("ip link set eth0 down");
    inContainer("ip link set eth0 name moved0");
  }

  private void requireOnHost(String name, String mac) throws IOException {
    String link = TestBed.run(host.netns(), "ip", "link", "show", name);
    assertTrue(link.contains(mac) && !link.contains("alias") && !link.contains(",UP"), link);
  }

  private void requireReturned() throws IOException {
    requireOnHost("nic0", MAC);
    assertEquals(List.of(), host.reservations("n"));
    assertEquals(List.of(), host.results());
  }

  @ParameterizedTest
  @ValueSource(strings = {"\"device\": \"nic0\"", "\"hwaddr\": \"" + MAC + "\""})
  void renamedDeviceReturns(String device) throws Exception {
    Network network = network("n", device);
    network.add(attachment(a));
    rename();
    network.delete(attachment(a));
    requireReturned();
    assertEquals(List.of(), TestBed.linkNames(a, "ifb"));
    network.delete(attachment(a));
    requireReturned();
  }

  @ParameterizedTest
  @ValueSource(strings = {"\"device\": \"nic0\"", "\"hwaddr\": \"" + MAC + "\""})
  void interfaceThatTookTheNameStays(String device) throws Exception {
    Network network = network("n", device);
    network.add(attachment(a));
    rename();
    inContainer("ip link add eth0 type ifb");
    inContainer("ip link set eth0 alias nic7");
    network.delete(attachment(a));
    requireReturned();
    assertEquals(List.of("eth0"), TestBed.linkNames(a, "ifb"));
  }

  @Test
  void devicesThatSwappedTheirNamesReturnUnderTheirOwn() throws Exception {
    String other = "02:00:00:00:00:02";
    onHost("ip link add nic1 address " + other + " type ifb");
    Attachment second =
        new Attachment(
            new AttachmentId(attachment(a).containerId(), "net1"),
            Optional.of(a.path()),
            Map.of(),
            Map.of());
    Network n = network("n", "\"device\": \"nic0\"");
    Network m = network("m", "\"hwaddr\": \"" + other + "\"");
    n.add(attachment(a));
    m.add(second);
    rename();
    inContainer("ip link set net1 down");
    inContainer("ip link set net1 name eth0");
    inContainer("ip link set moved0 name net1");
    n.delete(attachment(a));
    requireOnHost("nic0", MAC);
    assertEquals(List.of("eth0"), TestBed.linkNames(a, "ifb"));
    m.delete(second);
    requireOnHost("nic1", other);
    requireReturned();
  }

  @Test
  void aliasIdentifiesDeviceWithAnotherMac() throws Exception {
    onHost("ip link add veth0 type veth peer veth1"); // the address of an ifb cannot be changed
    Network network = network("n", "\"device\": \"veth0\"");
    network.add(attachment(a));
    rename();
    inContainer("ip link set moved0 address 02:00:00:00:00:99");
    network.delete(attachment(a));
    requireOnHost("veth0", "02:00:00:00:00:99");
  }

  @Test
  void macIdentifiesDeviceWithoutAlias() throws Exception {
    Network network = network("n", "\"device\": \"nic0\"");
    network.add(attachment(a));
    rename();
    inContainer("ip link set moved0 alias other");
    network.delete(attachment(a));
    requireReturned();
  }

  @Test
  void unknownOwnNameIsReportedWithRemedy() throws Exception {
    Network network = network("n", "\"hwaddr\": \"" + MAC + "\"");
    network.add(attachment(a));
    rename();
    TestBed.run(a, "ip", "link", "set", "moved0", "alias", "");
    CniException e = assertThrows(CniException.class, () -> network.delete(attachment(a)));
    assertTrue(e.getMessage().contains("\"ip link set moved0 alias NAME\""), e::getMessage);
    assertEquals(List.of("192.0.2.2"), host.reservations("n"));
    inContainer("ip link set moved0 alias nic0");
    network.delete(attachment(a));
    requireReturned();
  }

  @ParameterizedTest
  @ValueSource(strings = {"\"device\": \"nic0\"", "\"hwaddr\": \"" + MAC + "\""})
  void deviceInAnotherNamespaceIsReported(String device) throws Exception {
    Network network = network("n", device);
    network.add(attachment(a));
    NetNs b = host.container("b");
    inContainer("ip link set eth0 netns " + b.path().getFileName());
    CniException e = assertThrows(CniException.class, () -> network.delete(attachment(a)));
    assertTrue(e.getMessage().contains("neither there nor on the host"), e::getMessage);
    assertEquals(List.of("192.0.2.2"), host.reservations("n"), "its address is still in use");
    TestBed.run(b, "ip", "link", "set", "eth0", "netns", String.valueOf(a.path().getFileName()));
    network.delete(attachment(a));
    requireReturned();
  }

  @Test
  void nothingIsExpectedOfNamespaceThatEnded() throws Exception {
    Network network = network("n", "\"device\": \"nic0\"");
    network.add(attachment(a));
    host.delete(a); // and with it the virtual device
    network.delete(attachment(a));
    assertEquals(List.of(), host.reservations("n"));
    assertEquals(List.of(), host.results());
  }

  @Test
  void deviceThatIsBackAlreadyIsLeftAlone() throws Exception {
    Network network = network("n", "\"device\": \"nic0\"");
    network.add(attachment(a));
    inContainer("ip link set eth0 down");
    inContainer("ip link set eth0 name nic0");
    inContainer("ip link set nic0 netns " + host.netns().path().getFileName());
    inContainer("ip link add eth0 type ifb");
    network.delete(attachment(a));
    assertEquals(List.of("eth0"), TestBed.linkNames(a, "ifb"));
    assertTrue(TestBed.linkNames(host.netns(), "ifb").contains("nic0"));
    assertEquals(List.of(), host.results());
  }

  @Test
  void deviceOfEarlierConfigurationReturns() throws Exception {
    onHost("ip link add nic9 type ifb");
    network("n", "\"device\": \"nic0\"").add(attachment(a));
    network("n", "\"device\": \"nic9\"").delete(attachment(a));
    requireReturned();
  }
}
