// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import cni.api.CniException;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.ReferencePlugins;
import cni.testing.RequiresDevice;
import cni.testing.RequiresDevice.Device;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Chains of loopback and a plugin that creates the interface, as some runtimes configure them. */
@KernelTest(reference = true)
class LoopbackChainTest {
  private static final String LOOPBACK = "{ \"type\": \"loopback\" }";

  private static final String DNS = ",\"dns\":{\"nameservers\":[\"192.0.2.53\"]}";

  private final TestHost host;
  private final NetNs a;

  LoopbackChainTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    host.outside();
  }

  private static String plugin(String type, String options) {
    return """
        { "type": "%s", %s "dns": { "nameservers": [ "192.0.2.53" ] },
          "ipam": { "type": "host-local", "dataDir": "@DATA@",
                    "ranges": [[{ "subnet": "192.0.2.0/24", "rangeStart": "192.0.2.10" }],
                               [{ "subnet": "2001:db8::/64", "rangeStart": "2001:db8::10" }]],
                    "routes": [{ "dst": "198.51.100.0/24" }, { "dst": "2001:db8:1::/48" }] } }
        """
        .formatted(type, options.replace('\'', '"'));
  }

  /** Returns the result as JSON, without hardware addresses and random names. */
  private static String normalized(Result result) throws CniException {
    return ResultJson.write(result, SpecVersion.V1_0_0)
        .toString()
        .replaceAll("([0-9a-f]{2}:){5}[0-9a-f]{2}", "MAC")
        .replaceAll("veth[0-9a-f]{8}", "vethX");
  }

  private String addAndDelete(Cni cni) throws Exception {
    Result result = cni.network("n").add(attachment(a));
    host.openCni().network("n").check(attachment(a));
    cni.network("n").delete(attachment(a));
    host.deleteReservations("n"); // the next ADD begins with the same address
    return normalized(result);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "ipvlan;'master': 'up0',",
        "vlan;'master': 'up0', 'vlanId': 7,",
        "dummy;",
      })
  @RequiresDevice({Device.IPVLAN, Device.VLAN, Device.DUMMY})
  void resultOfDeviceIsThatOfReference(String line) throws Exception {
    resultIsThatOfReference(line);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "bridge;'bridge': 'br0', 'isDefaultGateway': true,",
        "ptp;",
        "macvlan;'master': 'up0',",
        "tap;",
        "host-device;'device': 'up0',"
      })
  void resultIsThatOfReference(String line) throws Exception {
    String type = line.substring(0, line.indexOf(';'));
    assumeTrue(
        Files.isExecutable(ReferencePlugins.directory().resolve(type)), "no reference " + type);
    host.network("n", "1.0.0", LOOPBACK, plugin(type, line.substring(line.indexOf(';') + 1)));
    Cni reference = host.withReference("loopback", type, "host-local");
    String expected = addAndDelete(reference);
    assertTrue(expected.contains("192.0.2.10/24"), expected);
    String ours = addAndDelete(host.openCni());
    // The reference's dummy is the only one that does not report the configuration's dns.
    assertEquals(expected, type.equals("dummy") ? ours.replace(DNS, "") : ours);
  }

  /** Without an own ipam plugin, ipvlan takes over the addresses of the plugin before it. */
  @Test
  @RequiresDevice(Device.IPVLAN)
  void ipvlanDoesNotTakeLoopbackForItsParent() throws Exception {
    host.network("n", "1.0.0", LOOPBACK, "{ \"type\": \"ipvlan\" }");
    TestBed.run(host.netns(), "ip", "route", "add", "default", "dev", "up0");
    Result result = host.openCni().network("n").add(attachment(a));
    assertEquals(List.of(), result.ips());
    String link = TestBed.run(host.netns(), "ip", "-o", "link", "show", "up0");
    String parent = "@if" + link.substring(0, link.indexOf(':'));
    String eth0 = TestBed.run(a, "ip", "link", "show", "eth0");
    assertTrue(eth0.contains("eth0" + parent + ":"), eth0);
  }
}
