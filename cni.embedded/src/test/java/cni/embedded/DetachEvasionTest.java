// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.RequiresDevice;
import cni.testing.RequiresDevice.Device;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * DEL of an attachment whose interface no longer looks as ADD left it: changed by the container
 * (CAP_NET_ADMIN), by the host, or known only by the result of an earlier boot. DEL deletes the
 * interface and releases the address, or it fails and keeps the address.
 */
@KernelTest(reference = true)
class DetachEvasionTest {
  private static final String IPAM =
      """
      "ipam": { "type": "host-local", "dataDir": "@DATA@",
                "ranges": [[{ "subnet": "10.66.0.0/24" }], [{ "subnet": "fd66::/64" }]] }
      """;

  private static final String TUNING =
      "{ \"type\": \"tuning\", \"mac\": \"02:11:22:33:44:55\", \"dataDir\": \"@DATA@/tuning\" }";

  /** Options of each plugin. */
  private static final Map<String, String> PLUGINS =
      Map.of(
          "bridge", "\"bridge\": \"br0\", \"isGateway\": true,",
          "ptp", "",
          "macvlan", "\"master\": \"up0\",",
          "ipvlan", "\"master\": \"up0\",",
          "vlan", "\"master\": \"up0\", \"vlanId\": 7,",
          "tap", "",
          "dummy", "",
          "host-device", "\"device\": \"up0\",");

  private final TestHost host;
  private final NetNs a;

  DetachEvasionTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    host.outside();
  }

  static Stream<Arguments> pluginsAndEvasions() {
    return evasions("bridge", "host-device", "macvlan", "ptp", "tap");
  }

  static Stream<Arguments> pluginsOfDevicesAndEvasions() {
    return evasions("dummy", "ipvlan", "vlan");
  }

  private static Stream<Arguments> evasions(String... types) {
    return Stream.of(types)
        .flatMap(
            type ->
                Stream.of(Evasion.values())
                    .filter(it -> isPossible(type, it))
                    .map(it -> Arguments.of(type, it)));
  }

  /** Whether a container or a host can do it; RenamedDeviceTest has the renamed host-devices. */
  private static boolean isPossible(String type, Evasion evasion) {
    if (type.equals("vlan") && evasion == Evasion.ALIAS_OF_LIVE_CONTAINER_TOO) {
      return false; // the kernel has one device of an id, so no other container in the network
    }
    return (isVeth(type) || !evasion.isOfVeth())
        && (!type.equals("host-device") || !evasion.isRenaming());
  }

  @ParameterizedTest
  @MethodSource("pluginsOfDevicesAndEvasions")
  @RequiresDevice({Device.DUMMY, Device.IPVLAN, Device.VLAN})
  void deviceIsDeletedOrAddressKept(String type, Evasion evasion) throws Exception {
    interfaceIsDeletedOrAddressKept(type, evasion);
  }

  @ParameterizedTest
  @MethodSource("pluginsAndEvasions")
  void interfaceIsDeletedOrAddressKept(String type, Evasion evasion) throws Exception {
    boolean veth = isVeth(type);
    network(type, evasion == Evasion.MAC_TUNED_AND_HOST_END_RENAMED ? TUNING : "");
    Cni cni = host.openCni();
    Result result = cni.network("n").add(attachment(a));
    if (evasion == Evasion.ALIAS_OF_LIVE_CONTAINER_TOO && !type.equals("host-device")) {
      cni.network("n").add(Attachment.of("live", host.container("b").path(), "eth0"));
    }
    List<String> reserved = host.reservations("n");
    List<String> results = host.results();
    List<String> others = reservedByOthers(reserved, result);
    List<String> hostEnds = new ArrayList<>(hostEnds());
    hostEnds.removeIf(name -> result.interfaces().stream().anyMatch(it -> it.name().equals(name)));
    assertEquals(2, reserved.size() - others.size());
    try (NetNs opened = NetNs.open(a.path())) {
      evasion.apply(host, a, result);
      boolean failed = false;
      try {
        cni.network("n").delete(attachment(a));
      } catch (CniException e) {
        failed = true;
        boolean isExpected = type.equals("host-device") || (evasion.isClaim() && !veth);
        assertTrue(isExpected, e.getMessage());
        assertEquals(999, e.code());
        assertTrue(String.valueOf(e.getMessage()).contains("eth0"), e.getMessage());
      }
      if (failed) {
        assertEquals(reserved, host.reservations("n"));
        assertEquals(results, host.results());
      } else {
        assertEquals(others, host.reservations("n"));
        assertEquals(results.size() - 1, host.results().size());
        assertEquals(Set.of(), attachedLinks(opened));
        assertEquals(hostEnds, hostEnds());
      }
    }
  }

  private static List<String> reservedByOthers(List<String> reserved, Result result) {
    Set<String> own = new TreeSet<>();
    result.ips().forEach(it -> own.add(InetAddresses.format(it.address().address())));
    return reserved.stream().filter(it -> !own.contains(it)).toList();
  }

  /**
   * A container id that returns after a reboot: its result is that of the earlier boot, the
   * reservations are gone, and the process of the new ADD is killed after its first plugin.
   */
  @ParameterizedTest
  @ValueSource(strings = {"ipvlan", "dummy"})
  @RequiresDevice({Device.DUMMY, Device.IPVLAN})
  void resultOfEarlierBootDoesNotKeepDevice(String type) throws Exception {
    resultOfEarlierBootDoesNotKeepInterface(type);
  }

  @ParameterizedTest
  @ValueSource(strings = {"bridge", "ptp", "macvlan", "tap"})
  void resultOfEarlierBootDoesNotKeepInterface(String type) throws Exception {
    leaveAttachmentWithResultOfEarlierBoot(type);
    host.openCni().network("n").delete(attachment(a));
    assertNothingLeft();
  }

  private void leaveAttachmentWithResultOfEarlierBoot(String type) throws Exception {
    network(type, "");
    Cni cni = host.openCni();
    cni.network("n").add(attachment(a));
    Path results = host.cache().resolve("results");
    Path stored = results.resolve(host.results().getFirst());
    byte[] earlier = Files.readAllBytes(stored);
    cni.network("n").delete(attachment(a)); // and so its links, as by a reboot
    Attachment other = attachment(host.container("b"));
    cni.network("n").add(other);
    cni.network("n").add(attachment(a)); // gets other addresses than before
    cni.network("n").delete(other);
    Files.write(stored, earlier);
  }

  private void assertNothingLeft() throws IOException {
    assertEquals(List.of(), host.reservations("n"));
    assertEquals(Set.of(), attachedLinks(a));
    assertEquals(List.of(), hostEnds());
  }

  /** The reference plugins delete the interface in these cases, too. */
  @ParameterizedTest
  @EnumSource(
      value = Evasion.class,
      names = {
        "MAC_TUNED_AND_HOST_END_RENAMED",
        "MAC_CHANGED_AND_ADDRESSES_FLUSHED",
        "MAC_AND_ADDRESSES_REPLACED"
      })
  void referenceDeletesToo(Evasion evasion) throws Exception {
    network("bridge", TUNING);
    Cni cni = host.withReference("bridge", "host-local", "tuning");
    Result result = cni.network("n").add(attachment(a));
    evasion.apply(host, a, result);
    cni.network("n").delete(attachment(a));
    assertNothingLeft();
  }

  /** An attachment made by the reference plugins has no alias; ours delete it all the same. */
  @ParameterizedTest
  @EnumSource(
      value = Evasion.class,
      names = {
        "MAC_TUNED_AND_HOST_END_RENAMED",
        "MAC_CHANGED_AND_ADDRESSES_FLUSHED",
        "MAC_AND_ADDRESSES_REPLACED",
        "RENAMED"
      })
  void attachmentOfReferenceIsDeleted(Evasion evasion) throws Exception {
    for (String type : List.of("bridge", "macvlan")) {
      if (isVeth(type) || evasion != Evasion.MAC_TUNED_AND_HOST_END_RENAMED) {
        network(type, evasion == Evasion.MAC_TUNED_AND_HOST_END_RENAMED ? TUNING : "");
        Cni reference = host.withReference(type, "host-local", "tuning");
        Result result = reference.network("n").add(attachment(a));
        evasion.apply(host, a, result);
        host.openCni().network("n").delete(attachment(a));
        assertNothingLeft();
      }
    }
  }

  /**
   * A late DEL keeps the interface of the next container at the same path. Only the host's end of a
   * veth proves that it is the next one's; without it DEL fails and keeps the addresses, too, until
   * the next container is gone.
   */
  @ParameterizedTest
  @ValueSource(strings = {"ipvlan", "vlan", "dummy"})
  @RequiresDevice({Device.DUMMY, Device.IPVLAN, Device.VLAN})
  void lateDeleteKeepsDeviceOfNextContainer(String type) throws Exception {
    lateDeleteKeepsNextContainer(type);
  }

  @ParameterizedTest
  @ValueSource(strings = {"bridge", "ptp", "macvlan", "tap"})
  void lateDeleteKeepsNextContainer(String type) throws Exception {
    network(type, "");
    Cni cni = host.openCni();
    Attachment first = Attachment.of("first", a.path(), "eth0");
    Attachment next = Attachment.of("next", a.path(), "eth0");
    cni.network("n").add(first);
    host.recreateOnceRemoved(a);
    cni.network("n").add(next);
    int reserved = isVeth(type) ? 2 : 4;
    deleteLate(cni, type, first);
    cni.network("n").check(next);
    assertEquals(reserved, host.reservations("n").size());
    try (NetNs again = NetNs.open(a.path())) {
      assertEquals(Set.of("eth0"), attachedLinks(again));
      // without the result of the first, too
      try (Cni withoutCache = host.openCni()) {
        deleteLate(withoutCache, type, first);
      }
      cni.network("n").check(next);
      cni.network("n").delete(next);
      assertEquals(Set.of(), attachedLinks(again));
      cni.network("n").delete(first);
    }
    assertEquals(List.of(), host.reservations("n"));
    assertEquals(List.of(), hostEnds());
  }

  private static void deleteLate(Cni cni, String type, Attachment attachment) throws Exception {
    if (isVeth(type)) {
      cni.network("n").delete(attachment);
      return;
    }
    CniException e =
        assertThrows(CniException.class, () -> cni.network("n").delete(attachment), type);
    assertEquals(999, e.code());
    assertTrue(String.valueOf(e.getMessage()).contains("has the alias of another attachment"));
  }

  /** Two interfaces of one container that has exchanged their names. */
  @ParameterizedTest
  @ValueSource(strings = {"bridge", "macvlan"})
  void exchangedNamesAreDeletedByTheSecondDelete(String type) throws Exception {
    network(type, "");
    Cni cni = host.openCni();
    Attachment first = attachment(a);
    var second =
        new Attachment(
            new AttachmentId(first.containerId(), "eth1"),
            Optional.of(a.path()),
            Map.of(),
            Map.of());
    cni.network("n").add(first);
    cni.network("n").add(second);
    for (String step : List.of("eth0 x", "eth1 eth0", "x eth1")) {
      String[] names = step.split(" ", -1);
      TestBed.run(a, "ip", "link", "set", names[0], "down");
      TestBed.run(a, "ip", "link", "set", names[0], "name", names[1]);
    }
    cni.network("n").delete(first);
    String addresses = TestBed.run(a, "ip", "-o", "addr", "show");
    assertTrue(!addresses.contains(" 10.66.0.2/24"), addresses);
    assertEquals(List.of("10.66.0.3", "fd66::3"), host.reservations("n"));
    cni.network("n").delete(second);
    assertNothingLeft();
  }

  private void network(String type, String next) throws IOException {
    String plugin = "{ \"type\": \"%s\", %s %s }".formatted(type, PLUGINS.get(type), IPAM);
    if (next.isEmpty()) {
      host.network("n", "1.0.0", plugin);
    } else {
      host.network("n", "1.0.0", plugin, next);
    }
  }

  private static boolean isVeth(String type) {
    return type.equals("bridge") || type.equals("ptp");
  }

  /** Returns the names of links that can exchange packets with another namespace, and of eth0. */
  private static Set<String> attachedLinks(NetNs netns) throws IOException {
    Set<String> names = new TreeSet<>();
    for (String line : TestBed.run(netns, "ip", "-o", "link", "show").lines().toList()) {
      String name = line.split("[:@]\\s*", -1)[1].trim();
      if (name.equals("eth0") || line.contains("link-netns")) {
        names.add(name);
      }
    }
    return names;
  }

  private List<String> hostEnds() throws IOException {
    return TestBed.linkNames(host.netns(), "veth").stream()
        .filter(it -> !it.equals("up0"))
        .toList();
  }
}
