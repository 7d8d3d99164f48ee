// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** STATUS of the plugins that create interfaces: what ADD needs on the host. */
@KernelTest
class StatusTest {
  private static final int NOT_AVAILABLE = ErrorCode.NOT_AVAILABLE.value();

  private final TestHost host;
  private final NetNs a;

  StatusTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
  }

  private Network network(Cni cni, String type, String options) throws IOException, CniException {
    host.network(
        "n",
        "1.1.0",
        """
        { "type": "%s", %s
          "ipam": { "type": "host-local", "dataDir": "@DATA@",
                    "ranges": [[{ "subnet": "192.0.2.0/24" }]] } }
        """
            .formatted(type, options));
    return cni.network("n");
  }

  private Network network(String type, String options) throws IOException, CniException {
    return network(host.openCni(), type, options);
  }

  private void onHost(String command) throws IOException {
    TestBed.run(host.netns(), command.split(" ", -1));
  }

  private static void requireError(Network network, String part) {
    CniException e = assertThrows(CniException.class, network::status);
    assertEquals(NOT_AVAILABLE, e.code(), e::getMessage);
    assertTrue(e.getMessage().contains(part), e::getMessage);
  }

  @Test
  void otherInterfaceOfTheBridgesNameIsReported() throws Exception {
    Network network = network("bridge", "\"bridge\": \"br0\",");
    network.status(); // ADD creates it
    onHost("ip link add br0 type ifb");
    requireError(network, "br0 is the name of an interface of the host that is not a bridge");
    CniException e = assertThrows(CniException.class, () -> network.add(attachment(a)));
    assertEquals(ErrorCode.INVALID_CONFIG.value(), e.code(), e::getMessage);
    assertTrue(e.getMessage().contains("that is not a bridge; choose another"), e::getMessage);
    onHost("ip link del br0");
    network.add(attachment(a));
    network.status();
    network.delete(attachment(a));
    network.status();
  }

  @ParameterizedTest
  @ValueSource(strings = {"macvlan", "ipvlan", "vlan"})
  void missingParentIsReported(String type) throws Exception {
    Network network = network(type, "\"master\": \"nic0\",");
    requireError(network, "nic0");
    onHost("ip link add nic0 type ifb");
    network.status();
    requireError(network(type, "\"master\": \"nic0\", \"mtu\": 9000,"), "mtu");
    network(type, "\"master\": \"nic9\", \"linkInContainer\": true,").status();
  }

  @ParameterizedTest
  @ValueSource(strings = {"\"device\": \"nic0\",", "\"hwaddr\": \"02:00:00:00:00:01\","})
  void missingDeviceIsReportedUnlessContainerHasIt(String device) throws Exception {
    Network network = network("host-device", device);
    requireError(network, "the host has no interface for");
    onHost("ip link add nic0 address 02:00:00:00:00:01 type ifb");
    network.status();
    network.add(attachment(a));
    network.status();
    network.delete(attachment(a));
    network.status();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "bridge;",
        "ptp;",
        "tap;",
        "macvlan;\"master\": \"nic0\",",
        "dummy;",
        "loopback;",
        "host-device;\"device\": \"nic0\",",
        "host-device;"
      })
  void missingNamespaceOfTheHostIsReported(String line) throws Exception {
    String[] parts = line.split(";", -1);
    onHost("ip link add nic0 type ifb");
    network(parts[0], parts[1]).status();
    Path missing = Path.of("/run/netns/cni-test-no-such-host");
    try (Cni cni = host.builder().hostNamespace(missing).build()) {
      requireError(network(cni, parts[0], parts[1]), "/run/netns/cni-test-no-such-host");
    }
  }
}
