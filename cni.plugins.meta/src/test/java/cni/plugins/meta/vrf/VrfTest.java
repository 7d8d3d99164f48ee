// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.vrf;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.RequiresDevice;
import cni.testing.RequiresDevice.Device;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import org.junit.jupiter.api.Test;

/** The vrf plugin: joining a VRF on kernels that have VRF devices, and the error on others. */
@KernelTest(reference = true)
class VrfTest {
  private final TestHost host;
  private final NetNs a;

  VrfTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
  }

  private Cni cni() {
    return host.openCni();
  }

  private void network(String options) throws IOException {
    host.network(
        "n", "1.1.0", TestHost.DUAL_STACK.formatted(""), "{ \"type\": \"vrf\"" + options + " }");
  }

  private boolean hasVrf() throws IOException {
    boolean supported =
        TestBed.tryRun(a, "ip", "link", "add", "probe", "type", "vrf", "table", "9").status() == 0;
    if (supported) {
      TestBed.run(a, "ip", "link", "del", "probe");
    }
    return supported;
  }

  private static Attachment second(NetNs container) {
    return Attachment.of(TestBed.nameOf(container), container.path(), "eth1");
  }

  private String tableOf(String vrf) throws IOException {
    return TestBed.run(a, "ip", "-d", "link", "show", vrf)
        .replaceAll("(?s).*vrf table (\\d+).*", "$1");
  }

  @Test
  @RequiresDevice(Device.VRF)
  void vrfLivesAsLongAsItsLastInterface() throws Exception {
    network(", \"vrfname\": \"red\"");
    cni().network("n").add(attachment(a));
    cni().network("n").add(second(a));
    assertEquals("1", tableOf("red"));
    assertTrue(TestBed.run(a, "ip", "link", "show", "eth1").contains("master red"));
    cni().network("n").delete(attachment(a));
    assertTrue(TestBed.run(a, "ip", "link", "show", "eth1").contains("master red"));
    cni().network("n").check(second(a));
    cni().network("n").delete(second(a));
    host.assertNothingLeft("n", a);
    assertEquals("", TestBed.run(a, "ip", "link", "show", "type", "vrf"));
  }

  @Test
  @RequiresDevice(Device.VRF)
  void tableIsTheFirstThatNoOtherVrfHas() throws Exception {
    TestBed.run(a, "ip", "link", "add", "other", "type", "vrf", "table", "1");
    network(", \"vrfname\": \"red\"");
    cni().network("n").add(attachment(a));
    assertEquals("2", tableOf("red"));
    cni().network("n").delete(attachment(a));
    network(", \"vrfname\": \"other\", \"table\": 5");
    CniException e = assertThrows(CniException.class, () -> cni().network("n").add(attachment(a)));
    assertTrue(String.valueOf(e.getMessage()).contains("routing table 1"), e::getMessage);
    host.assertNothingLeft("n", a);
    assertEquals("1", tableOf("other"));
  }

  @Test
  @RequiresDevice(Device.VRF)
  void interoperatesWithReference() throws Exception {
    network(", \"vrfname\": \"red\", \"table\": 77");
    // Not its bridge, whose CHECK looks for the default route in the main table only.
    Cni reference = host.withReference("host-local", "vrf");
    for (Cni adds : new Cni[] {cni(), reference}) {
      adds.network("n").add(attachment(a));
      String routes = TestBed.run(a, "ip", "-6", "route", "show", "table", "77");
      assertTrue(routes.contains("default via fd50::1"), routes);
      assertTrue(TestBed.run(a, "ip", "-6", "addr", "show", "eth0").contains("fd50::"));
      cni().network("n").check(attachment(a));
      reference.network("n").check(attachment(a));
      (adds.equals(reference) ? cni() : reference).network("n").delete(attachment(a));
      assertEquals("", TestBed.run(a, "ip", "link", "show", "type", "vrf"));
      host.assertNothingLeft("n", a);
    }
  }

  @Test
  @RequiresDevice(Device.VRF)
  void checkReportsAnInterfaceThatLeft() throws Exception {
    network(", \"vrfname\": \"red\"");
    cni().network("n").add(attachment(a));
    TestBed.run(a, "ip", "link", "set", "eth0", "nomaster");
    assertThrows(CniException.class, () -> cni().network("n").check(attachment(a)));
    cni().network("n").delete(attachment(a));
    host.assertNothingLeft("n", a);
  }

  @Test
  @RequiresDevice(Device.VRF)
  void interfaceJoinsTheVrfAndItsTable() throws Exception {
    network(", \"vrfname\": \"red\", \"table\": 77");
    cni().network("n").add(attachment(a));
    assertTrue(TestBed.run(a, "ip", "link", "show", "eth0").contains("master red"));
    for (String family : new String[] {"-4", "-6"}) {
      String routes = TestBed.run(a, "ip", family, "route", "show", "table", "77");
      assertTrue(routes.contains("default via"), routes);
    }
    TestBed.run(a, "ping", "-c1", "-W2", "-I", "red", "10.50.0.1");
    cni().network("n").check(attachment(a));
    cni().network("n").delete(attachment(a));
    assertEquals("", TestBed.run(a, "ip", "link", "show", "type", "vrf"));
    host.assertNothingLeft("n", a);
  }

  @Test
  void addFailsWithCode50WithoutKernelSupport() throws Exception {
    assumeTrue(!hasVrf(), "kernel has vrf");
    network(", \"vrfname\": \"red\"");
    CniException e = assertThrows(CniException.class, () -> cni().network("n").add(attachment(a)));
    assertTrue(String.valueOf(e.getMessage()).contains("the kernel lacks vrf"), e::getMessage);
    assertEquals(ErrorCode.NOT_AVAILABLE.value(), e.code());
    host.assertNothingLeft("n", a);
    cni().network("n").delete(attachment(a));
  }

  @Test
  void missingNameOrNameOfAnotherDeviceIsRefused() throws Exception {
    network("");
    CniException e = assertThrows(CniException.class, () -> cni().network("n").add(attachment(a)));
    assertTrue(String.valueOf(e.getMessage()).contains("vrfname"), e::getMessage);
    network(", \"vrfname\": \"lo\"");
    e = assertThrows(CniException.class, () -> cni().network("n").add(attachment(a)));
    assertTrue(String.valueOf(e.getMessage()).contains("lo"), e::getMessage);
    host.assertNothingLeft("n", a);
  }
}
