// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.hostdevice;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The host-device plugin, with one end of a veth as the device. */
@KernelTest(reference = true)
class HostDeviceTest {
  private final TestHost host;
  private final NetNs a;

  HostDeviceTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    host.outside();
  }

  private static final String IPAM =
      """
      "ipam": { "type": "host-local", "dataDir": "@DATA@",
                "ranges": [[{ "subnet": "192.0.2.0/24", "rangeStart": "192.0.2.10" }],
                           [{ "subnet": "2001:db8::/64", "rangeStart": "2001:db8::10" }]] }
      """;

  private void network(String device) throws IOException {
    host.network("n", "1.1.0", "{\"type\":\"host-device\"," + device + "," + IPAM + "}");
  }

  private String mac() throws IOException {
    return TestBed.run(host.netns(), "ip", "-o", "link", "show", "up0")
        .replaceAll("(?s).*link/ether (\\S+).*", "$1");
  }

  private void requireDeviceOnHost() throws IOException {
    String link = TestBed.run(host.netns(), "ip", "link", "show", "up0");
    assertTrue(link.contains("up0@") && !link.contains(",UP") && !link.contains("alias"), link);
    assertEquals(List.of(), host.reservations("n"));
    assertEquals(List.of(), host.results());
  }

  @ParameterizedTest
  @ValueSource(strings = {"device", "hwaddr", "kernelpath"})
  void deviceReturnsToHostUnderItsName(String key) throws Exception {
    String value =
        switch (key) {
          case "device" -> "up0";
          case "hwaddr" -> mac();
          default -> "/sys/devices/virtual/net/up0/../up0";
        };
    if (key.equals("kernelpath")) {
      // In sysfs a virtual device has no directory "net" that would name its interface.
      CniException e =
          assertThrows(
              CniException.class,
              () -> {
                network("\"kernelpath\": \"" + value + "\"");
                host.openCni().network("n").add(attachment(a));
              });
      assertTrue(String.valueOf(e.getMessage()).contains("no interface"), e::getMessage);
      return;
    }
    network("\"" + key + "\": \"" + value + "\"");
    Cni cni = host.openCni();
    Result result = cni.network("n").add(attachment(a));
    assertEquals(
        value.contains(":") ? value : result.interfaces().getFirst().mac(),
        result.interfaces().getFirst().mac());
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V6));
    assertTrue(TestBed.run(a, "ip", "link", "show", "eth0").contains("alias up0"));
    cni.network("n").check(attachment(a));
    cni.network("n").delete(attachment(a));
    cni.network("n").delete(attachment(a));
    requireDeviceOnHost();
  }

  /** Both names are in use on the other side: the host has an eth0, the container an up0. */
  @Test
  void nameConflictsOnBothSidesAreResolvedOrReported() throws Exception {
    TestBed.run(host.netns(), "ip", "link", "add", "eth0", "type", "ifb");
    TestBed.run(a, "ip", "link", "add", "up0", "type", "ifb");
    network("\"device\": \"up0\"");
    Cni cni = host.openCni();
    cni.network("n").add(attachment(a));
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
    CniException e =
        assertThrows(
            CniException.class,
            () -> {
              TestBed.run(a, "ip", "link", "set", "up0", "down");
              TestBed.run(host.netns(), "ip", "link", "add", "up0", "type", "ifb");
              cni.network("n").delete(attachment(a));
            });
    assertTrue(String.valueOf(e.getMessage()).contains("has that name"), e::getMessage);
    assertTrue(
        TestBed.run(a, "ip", "link", "show", "eth0").contains("alias up0"),
        "still in the container");
    TestBed.run(host.netns(), "ip", "link", "del", "up0");
    TestBed.run(host.netns(), "ip", "link", "del", "eth0");
    cni.network("n").delete(attachment(a));
    requireDeviceOnHost();
    assertEquals(List.of("up0"), TestBed.linkNames(a, "ifb"));
  }

  /**
   * Simulates a hardware device, which the kernel returns to the host under the container's name.
   */
  @Test
  void deleteRestoresNameAfterNamespaceEnded() throws Exception {
    TestBed.run(host.netns(), "ip", "link", "add", "nic0", "type", "ifb");
    network("\"device\": \"nic0\"");
    Cni cni = host.openCni();
    Result result = cni.network("n").add(attachment(a));
    String mac = result.interfaces().getFirst().mac();
    TestBed.run(a, "ip", "link", "set", "eth0", "netns", hostName());
    TestBed.run(host.netns(), "ip", "link", "set", "eth0", "alias", "nic0");
    host.recreate(a);
    cni.network("n").delete(attachment(a).withoutNamespace());
    String link = TestBed.run(host.netns(), "ip", "link", "show", "nic0");
    assertTrue(link.contains(mac) && !link.contains("alias"), link);
    assertEquals(List.of(), host.reservations("n"), "the addresses are released");
    assertEquals(List.of(), host.results());
  }

  private String hostName() {
    return String.valueOf(host.netns().path().getFileName());
  }

  @Test
  void failedAddRestoresDevice() throws Exception {
    String before = TestBed.run(host.netns(), "ip", "link", "show", "up0").replaceAll("^\\d+", "");
    host.network(
        "n",
        "1.1.0",
        "{\"type\":\"host-device\",\"device\":\"up0\",\"ipam\":{\"type\":\"fails\"}}");
    host.script("fails", "echo '{\"code\":42,\"msg\":\"no\"}'; exit 1\n");
    assertThrows(CniException.class, () -> host.openCni().network("n").add(attachment(a)));
    String after = TestBed.run(host.netns(), "ip", "link", "show", "up0").replaceAll("^\\d+", "");
    assertEquals(before.replaceAll("state \\w+", ""), after.replaceAll("state \\w+", ""));
    network("\"device\": \"up0\"");
    TestBed.run(a, "ip", "link", "add", "eth0", "type", "ifb");
    assertThrows(CniException.class, () -> host.openCni().network("n").add(attachment(a)));
    assertTrue(TestBed.run(host.netns(), "ip", "link", "show", "up0").contains(",UP"));
  }

  @Test
  void unknownDeviceIsRejected() throws Exception {
    for (String device :
        List.of(
            "\"x\": 1",
            "\"device\": \"nope0\"",
            "\"hwaddr\": \"02:00:00:00:00:99\"",
            "\"kernelpath\": \"/etc\"",
            "\"pciBusID\": \"../../etc\"",
            "\"pciBusID\": \"ffff:ff:1f.7\"")) {
      network(device);
      CniException e =
          assertThrows(CniException.class, () -> host.openCni().network("n").add(attachment(a)));
      assertEquals(7, e.code(), e.getMessage());
      host.openCni().network("n").delete(attachment(a));
    }
    assertFalse(TestBed.run(host.netns(), "ip", "link", "show", "up0").isEmpty());
  }

  @ParameterizedTest
  @CsvSource({"true,false", "false,true"})
  void interoperatesWithReference(boolean referenceAdds, boolean referenceDeletes)
      throws Exception {
    network("\"device\": \"up0\"");
    Cni reference = host.withReference("host-device", "host-local");
    Cni adds = referenceAdds ? reference : host.openCni();
    Cni deletes = referenceDeletes ? reference : host.openCni();
    adds.network("n").add(attachment(a));
    assertTrue(Probe.ping(a, TestHost.OUTSIDE_V4));
    reference.network("n").check(attachment(a));
    host.openCni().network("n").check(attachment(a));
    deletes.network("n").delete(attachment(a));
    host.openCni().network("n").delete(attachment(a));
    requireDeviceOnHost();
  }

  @Test
  void deviceIdCapabilitySelectsDevice() throws Exception {
    network("\"capabilities\": { \"deviceID\": true }");
    host.openCni().network("n").status();
    CniException e =
        assertThrows(
            CniException.class,
            () -> host.openCni().network("n").add(attachment(a, "deviceID", "\"ffff:ff:1f.7\"")));
    assertEquals(7, e.code(), e.getMessage());
    assertTrue(String.valueOf(e.getMessage()).contains("ffff:ff:1f.7"), e::getMessage);
  }
}
