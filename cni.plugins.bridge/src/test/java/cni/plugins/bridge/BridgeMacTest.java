// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The hardware address of a bridge that existed before the first ADD. */
@KernelTest
class BridgeMacTest {
  private static final String GATEWAY = "\"isGateway\": true,";

  /** Lower than nearly every address that the kernel chooses for a port. */
  private static final String LOW = "02:00:00:00:00:01";

  private final TestHost host;
  private final NetNs a;
  private final NetNs b;

  BridgeMacTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
  }

  private Network network(String options) throws Exception {
    host.network(
        "n",
        "1.1.0",
        """
        { "type": "bridge", "bridge": "br0", %s
          "ipam": { "type": "host-local", "dataDir": "@DATA@",
                    "ranges": [[{ "subnet": "10.50.0.0/24" }]] } }
        """
            .formatted(options));
    return host.openCni().network("n");
  }

  private void onHost(String command) throws IOException {
    TestBed.run(host.netns(), command.split(" ", -1));
  }

  private String bridgeMac() throws IOException {
    return TestBed.run(host.netns(), "ip", "-o", "link", "show", "br0")
        .replaceAll("(?s).*link/ether (\\S+).*", "$1");
  }

  /** Adds a port with the lowest address, which a bridge takes unless its own is fixed. */
  private void requireFixed() throws IOException {
    String before = bridgeMac();
    onHost("ip link add low type veth peer low1");
    onHost("ip link set low address 02:00:00:00:00:00 master br0 up");
    assertEquals(before, bridgeMac(), "with a port of a lower address");
    onHost("ip link del low");
  }

  private void requireStable(Network network) throws Exception {
    String before = bridgeMac();
    Result first = network.add(attachment(a));
    assertEquals(before, bridgeMac(), "after the first ADD");
    assertEquals(before, first.interfaces().getFirst().mac());
    network.add(attachment(b));
    network.delete(attachment(a));
    assertEquals(before, bridgeMac(), "after DEL of the first container");
    network.check(attachment(b));
    requireFixed();
    network.delete(attachment(b));
    assertEquals(before, bridgeMac(), "without containers");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", GATEWAY})
  void emptyBridgeKeepsItsAddress(String options) throws Exception {
    onHost("ip link add br0 type bridge");
    requireStable(network(options));
  }

  /** The reference plugin leaves such a bridge alone: it has the gateway's address already. */
  @Test
  void bridgeWithGatewayAddressKeepsItsAddress() throws Exception {
    onHost("ip link add br0 type bridge");
    onHost("ip addr add 10.50.0.1/24 dev br0");
    onHost("ip link set br0 up");
    requireStable(network(GATEWAY));
  }

  @Test
  void bridgeKeepsTheAddressThatItTookFromItsOtherPort() throws Exception {
    onHost("ip link add br0 type bridge");
    onHost("ip link add nic0 type veth peer nic1");
    onHost("ip link set nic0 address fe:ff:ff:ff:ff:fe master br0 up");
    onHost("ip link set nic1 up");
    onHost("ip link set br0 up");
    assertEquals("fe:ff:ff:ff:ff:fe", bridgeMac());
    awaitOperState("UP");
    requireStable(network(GATEWAY));
  }

  private void awaitOperState(String state) throws Exception {
    for (int i = 0; i < 100; i++) {
      if (TestBed.run(host.netns(), "ip", "link", "show", "br0").contains("state " + state)) {
        return;
      }
      Thread.sleep(20);
    }
    throw new AssertionError("br0 does not become " + state);
  }

  /** A bridge whose last port has gone, and whose address was not fixed, has only zeros. */
  @Test
  void bridgeWithoutAddressGetsOne() throws Exception {
    onHost("ip link add br0 type bridge");
    onHost("ip link add low type veth peer low1");
    onHost("ip link set low master br0");
    onHost("ip link del low");
    assertEquals("00:00:00:00:00:00", bridgeMac());
    Network network = network("");
    network.add(attachment(a));
    String mac = bridgeMac();
    assertNotEquals("00:00:00:00:00:00", mac);
    network.check(attachment(a));
    requireFixed();
    network.delete(attachment(a));
    assertEquals(mac, bridgeMac());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", GATEWAY})
  void administratorsAddressIsKept(String options) throws Exception {
    onHost("ip link add br0 address " + LOW + " type bridge");
    assertEquals(LOW, bridgeMac());
    requireStable(network(options));
  }

  /** Setting an address, even the present one, would flush the neighbour table. */
  @Test
  void fixedAddressOfBridgeInUseIsNotSetAgain() throws Exception {
    onHost("ip link add br0 address fe:00:00:00:00:01 type bridge");
    onHost("ip link add nic0 type veth peer nic1");
    onHost("ip link set nic0 master br0 up");
    onHost("ip link set nic1 up");
    onHost("ip link set br0 up");
    awaitOperState("UP");
    onHost("ip neigh add 10.50.0.77 lladdr 02:00:00:00:00:77 dev br0 nud reachable");
    network(GATEWAY).add(attachment(a));
    String neighbours = TestBed.run(host.netns(), "ip", "neigh", "show", "dev", "br0");
    assertTrue(neighbours.contains("02:00:00:00:00:77"), neighbours);
    requireFixed();
  }
}
