// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.RequiresDevice;
import cni.testing.RequiresDevice.Device;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The ipvlan, vlan and dummy plugins: with real devices if the kernel has them, otherwise the error
 * for a missing device type.
 */
@KernelTest(reference = true)
class IpvlanVlanDummyTest {
  private static final Map<String, String> OPTIONS =
      Map.of(
          "ipvlan", "\"master\": \"up0\", \"mode\": \"l2\",",
          "vlan", "\"master\": \"up0\", \"vlanId\": 7,",
          "dummy", "");

  private final TestHost host;
  private final NetNs a;
  private final NetNs outside;

  IpvlanVlanDummyTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    outside = host.outside();
  }

  private void network(String type, String options) throws IOException {
    host.network(
        "n",
        "1.1.0",
        """
        { "type": "%s", %s
          "ipam": { "type": "static", "addresses": [
            { "address": "192.0.2.10/24", "gateway": "192.0.2.2" },
            { "address": "2001:db8::10/64", "gateway": "2001:db8::2" }] } }
        """
            .formatted(type, options));
  }

  private boolean kernelSupports(String type) throws IOException {
    String parent = type.equals("dummy") ? "" : "link up0 ";
    String id = type.equals("vlan") ? " id 7" : "";
    String add = "ip link add " + parent + "name probe type " + type + id;
    boolean supported = TestBed.tryRun(host.netns(), add.split(" ", -1)).status() == 0;
    if (supported) {
      TestBed.run(host.netns(), "ip", "link", "del", "probe");
    }
    return supported;
  }

  @ParameterizedTest
  @ValueSource(strings = {"ipvlan", "vlan", "dummy"})
  @RequiresDevice({Device.IPVLAN, Device.VLAN, Device.DUMMY})
  void interfaceWorksAndInteroperatesWithReference(String type) throws Exception {
    network(type, OPTIONS.getOrDefault(type, ""));
    TestBed.run(a, "ip", "link", "set", "lo", "up"); // carries packets to the own address
    if (type.equals("vlan")) {
      String on = "ip link add link up1 name v7 type vlan id 7";
      TestBed.run(outside, on.split(" ", -1));
      TestBed.run(outside, "ip", "addr", "flush", "dev", "up1");
      TestBed.run(outside, "ip", "addr", "add", "192.0.2.2/24", "dev", "v7");
      TestBed.run(outside, "ip", "addr", "add", "2001:db8::2/64", "dev", "v7", "nodad");
      TestBed.run(outside, "ip", "link", "set", "v7", "up");
    }
    Cni reference = host.withReference(type, "static");
    for (Cni adds : new Cni[] {host.openCni(), reference}) {
      adds.network("n").add(attachment(a));
      assertTrue(Probe.ping(a, type.equals("dummy") ? "192.0.2.10" : TestHost.OUTSIDE_V4));
      assertTrue(Probe.ping(a, type.equals("dummy") ? "2001:db8::10" : TestHost.OUTSIDE_V6));
      host.openCni().network("n").check(attachment(a));
      reference.network("n").check(attachment(a));
      Cni deletes = adds.equals(reference) ? host.openCni() : reference;
      deletes.network("n").delete(attachment(a));
      host.openCni().network("n").delete(attachment(a));
      assertEquals("", TestBed.run(a, "ip", "link", "show", "type", type));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"l2", "l3", "l3s"})
  @RequiresDevice(Device.IPVLAN)
  void ipvlanModeIsSetAndCarriesPacketsBetweenContainers(String mode) throws Exception {
    NetNs b = host.container("b");
    for (NetNs container : new NetNs[] {a, b}) {
      String host4 = container.equals(a) ? "10" : "11";
      host.network(
          TestBed.nameOf(container),
          "1.1.0",
          """
          { "type": "ipvlan", "master": "up0", "mode": "%s", "mtu": 1400,
            "ipam": { "type": "static", "addresses": [
              { "address": "192.0.2.%s/24" }, { "address": "2001:db8::%s/64" } ] } }
          """
              .formatted(mode, host4, host4));
      host.openCni().network(TestBed.nameOf(container)).add(attachment(container));
    }
    String shown = TestBed.run(a, "ip", "-d", "link", "show", "eth0");
    assertTrue(shown.contains("mtu 1400") && shown.contains("mode " + mode + " "), shown);
    assertTrue(Probe.ping(a, "192.0.2.11"));
    assertTrue(Probe.ping(a, "2001:db8::11"));
    host.openCni().network(TestBed.nameOf(a)).check(attachment(a));
    for (NetNs container : new NetNs[] {a, b}) {
      host.openCni().network(TestBed.nameOf(container)).delete(attachment(container));
    }
    host.assertNothingLeft(TestBed.nameOf(a), a, b);
  }

  @ParameterizedTest
  @ValueSource(strings = {"ipvlan", "vlan"})
  @RequiresDevice({Device.IPVLAN, Device.VLAN})
  void parentMayBeInTheContainer(String type) throws Exception {
    TestBed.run(a, "ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1");
    TestBed.run(a, "ip", "link", "set", "up0", "up");
    network(type, OPTIONS.getOrDefault(type, "") + "\"linkInContainer\": true,");
    Cni reference = host.withReference(type, "static");
    for (Cni cni : new Cni[] {host.openCni(), reference}) {
      cni.network("n").add(attachment(a));
      String shown = TestBed.run(a, "ip", "-d", "link", "show", "eth0");
      assertTrue(shown.contains("eth0@up0") && shown.contains(type), shown);
      host.openCni().network("n").check(attachment(a));
      host.openCni().network("n").delete(attachment(a));
      assertEquals("", TestBed.run(a, "ip", "link", "show", "type", type));
      assertTrue(TestBed.run(a, "ip", "link", "show", "up0").contains("up0"));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"ipvlan", "vlan", "dummy"})
  void missingKernelSupportIsReportedAndLeavesNothing(String type) throws Exception {
    assumeTrue(!kernelSupports(type), "kernel has " + type);
    network(type, OPTIONS.getOrDefault(type, ""));
    CniException e =
        assertThrows(CniException.class, () -> host.openCni().network("n").add(attachment(a)));
    assertEquals(ErrorCode.NOT_AVAILABLE.value(), e.code(), e.getMessage());
    assertTrue(String.valueOf(e.getMessage()).contains("the kernel lacks " + type), e::getMessage);
    host.openCni().network("n").delete(attachment(a));
    host.assertNothingLeft("n", a);
  }

  /**
   * Uses the interface and addresses of the plugin before it; without ipvlan, checks the errors.
   */
  @Test
  void chainedIpvlanUsesInterfaceAndAddressesOfPrevResult() throws Exception {
    String one =
        "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"up0\"}],"
            + "\"ips\":[{\"address\":\"192.0.2.10/24\"}]}";
    host.script("before", "[ $CNI_COMMAND != ADD ] || echo '" + one + "'\n");
    host.network("n", "1.0.0", "{\"type\":\"before\"}", "{\"type\":\"ipvlan\"}");
    if (kernelSupports("ipvlan")) {
      Result result = host.openCni().network("n").add(attachment(a));
      assertEquals(1, result.interfaces().size());
      assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
      host.openCni().network("n").delete(attachment(a));
    } else {
      CniException e =
          assertThrows(CniException.class, () -> host.openCni().network("n").add(attachment(a)));
      assertTrue(String.valueOf(e.getMessage()).contains("the kernel lacks"), e::getMessage);
    }
    String two = one.replace("[{\"name\":\"up0\"}]", "[{\"name\":\"up0\"},{\"name\":\"up1\"}]");
    host.script("before", "[ $CNI_COMMAND != ADD ] || echo '" + two + "'\n");
    CniException e =
        assertThrows(CniException.class, () -> host.openCni().network("n").add(attachment(a)));
    assertTrue(String.valueOf(e.getMessage()).contains("[up0, up1]"), e::getMessage);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "ipvlan;\"master\": \"up0\", \"mode\": \"l4\",;l2, l3, l3s",
        "ipvlan;\"master\": \"up9\",;up9",
        "ipvlan;;no default route",
        "vlan;\"vlanId\": 7,;master",
        "vlan;\"master\": \"up0\", \"vlanId\": 4095,;between 0 and 4094",
        "vlan;\"master\": \"up0\", \"mtu\": 1501,;between 0 and 1500",
        "dummy;\"ipam\": {},;ipam"
      })
  void invalidConfigurationIsRejected(String line) throws Exception {
    String[] parts = line.split(";", -1);
    if (parts[0].equals("dummy")) {
      host.network("n", "1.1.0", "{\"type\":\"dummy\",\"ipam\":{}}");
    } else {
      network(parts[0], parts[1]);
    }
    CniException e =
        assertThrows(CniException.class, () -> host.openCni().network("n").add(attachment(a)));
    assertEquals(ErrorCode.INVALID_CONFIG.value(), e.code(), e.getMessage());
    assertTrue(String.valueOf(e.getMessage()).contains(parts[2]), e::getMessage);
    host.openCni().network("n").delete(attachment(a));
  }
}
