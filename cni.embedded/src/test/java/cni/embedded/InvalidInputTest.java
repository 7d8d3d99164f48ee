// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Invalid input and misbehaving plugins cause errors with the right code and leave nothing. */
@KernelTest
class InvalidInputTest {
  private final TestHost host;
  private final NetNs a;

  InvalidInputTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    host.dualStack("n", "");
  }

  private Network network(String name) throws CniException {
    return host.builder().timeout(Duration.ofSeconds(2)).build().network(name);
  }

  private void assertAddRefused(Attachment attachment, int code, String... parts)
      throws IOException {
    CniException e = assertThrows(CniException.class, () -> network("n").add(attachment));
    assertEquals(code, e.code(), e::getMessage);
    for (String part : parts) {
      assertTrue(e.getMessage().contains(part), e::getMessage);
    }
    host.assertNothingLeft("n", a);
  }

  @Test
  void missingInvalidAndHostNamespacesAreRefused() throws IOException {
    assertAddRefused(
        Attachment.of("c", Path.of("/run/netns/no-such"), "eth0"), 8, "does not exist");
    Path file = Files.createFile(host.cache().resolveSibling("file"));
    assertAddRefused(Attachment.of("c", file, "eth0"), 8, "is not a network namespace");
    assertAddRefused(Attachment.of("c", host.netns().path(), "eth0"), 8, "is the host's");
    assertAddRefused(attachment(a).withoutNamespace(), 4, "CNI_NETNS");
  }

  @Test
  void deleteNeverRemovesHostInterfaces() throws Exception {
    TestBed.run(host.netns(), "ip", "link", "add", "eth0", "type", "ifb");
    Attachment wrong = Attachment.of("c", host.netns().path(), "eth0");
    CniException e = assertThrows(CniException.class, () -> network("n").delete(wrong));
    assertEquals(8, e.code());
    TestBed.run(host.netns(), "ip", "link", "show", "eth0");
    host.network("l", "1.0.0", "{ \"type\": \"loopback\" }");
    assertEquals(8, assertThrows(CniException.class, () -> network("l").delete(wrong)).code());
    assertTrue(TestBed.run(host.netns(), "ip", "link", "show", "lo").contains("UP"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "c/d|eth0|CNI_CONTAINERID",
        "../c|eth0|CNI_CONTAINERID",
        "''|eth0|CNI_CONTAINERID",
        "c|eth/0|CNI_IFNAME",
        "c|a-name-of-16-byt|CNI_IFNAME",
        "c|..|CNI_IFNAME",
        "c|''|CNI_IFNAME"
      })
  void malformedNamesAreRefused(String container, String name, String part) throws IOException {
    assertAddRefused(Attachment.of(container, a.path(), name), 4, part);
    Attachment attachment = Attachment.of(container, a.path(), name);
    assertEquals(4, assertThrows(CniException.class, () -> network("n").delete(attachment)).code());
    assertEquals(4, assertThrows(CniException.class, () -> network("n").check(attachment)).code());
  }

  @Test
  void addRefusesAndKeepsExistingInterface() throws Exception {
    TestBed.run(a, "ip", "link", "add", "eth0", "type", "ifb");
    assertAddRefused(attachment(a), 4, "eth0", "exists already");
    TestBed.run(a, "ip", "link", "show", "eth0", "type", "ifb");
  }

  @Test
  void secondAddFailsAndFirstSurvives() throws Exception {
    network("n").add(attachment(a));
    CniException e = assertThrows(CniException.class, () -> network("n").add(attachment(a)));
    assertEquals(4, e.code());
    network("n").check(attachment(a));
    NetNs other = host.container("other");
    Attachment sameId = Attachment.of(attachment(a).containerId(), other.path(), "eth0");
    CniException twice = assertThrows(CniException.class, () -> network("n").add(sameId));
    assertTrue(twice.getMessage().contains("10.50.0.2 has been allocated"), twice::getMessage);
    assertEquals(2, host.reservations("n").size());
    network("n").check(attachment(a));
    assertTrue(Probe.ping(a, "10.50.0.1"));
    network("n").delete(attachment(a));
    host.assertNothingLeft("n", a, other);
  }

  @Test
  void missingAndUnreadableNetworksAreReported() throws Exception {
    CniException unknown = assertThrows(CniException.class, () -> network("../x"));
    assertEquals(7, unknown.code());
    assertTrue(unknown.getMessage().contains("../x"), unknown::getMessage);
    Files.writeString(
        host.networks().resolve("broken.conflist"), "{\n  \"name\": \"broken\",\n  x }");
    CniException broken = assertThrows(CniException.class, () -> network("broken"));
    assertEquals(6, broken.code());
    assertTrue(broken.getMessage().contains("broken.conflist"), broken::getMessage);
    assertTrue(broken.getMessage().contains("line 3, column"), broken::getMessage);
    Files.createSymbolicLink(host.networks().resolve("a.conflist"), Path.of("/proc/self/mem"));
    network("n"); // is not affected
    CniException unreadable = assertThrows(CniException.class, () -> network("broken"));
    assertEquals(5, unreadable.code()); // the first file that may define it
    assertTrue(unreadable.getMessage().contains("a.conflist"), unreadable::getMessage);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{ \"type\": \"no-such\" }|7|\"no-such\" is not known",
        "{ \"type\": \"bridge\", \"ipam\": { \"type\": \"no-such\" } }|7|\"no-such\" is not known",
        "{ \"type\": \"bridge\", \"bridge\": \"a-name-of-16-byt\" }|7|bridge \"a-name-of-16-byt\"",
        "{ \"type\": \"bridge\", \"bridge\": \"lo\" }|7|not a bridge",
        "{ \"type\": \"bridge\", \"mtu\": 70000 }|7|mtu 70000 must be between",
        "{ \"type\": \"bridge\", \"mtu\": \"1500\" }|7|mtu must be a whole number",
        "{ \"type\": \"bridge\", \"vlan\": 4095 }|7|vlan 4095",
        "{ \"type\": \"bridge\", \"vlanTrunk\": [{ \"minID\": 5 }] }|7|vlanTrunk[0].minID",
        "{ \"type\": \"bridge\", \"vlanTrunk\": [{ \"minID\": 5, \"maxID\": 4 }] }|7|vlanTrunk[0].minID",
        "{ \"type\": \"bridge\", \"hairpinMode\": true, \"promiscMode\": true }|7|hairpinMode",
        "{ \"type\": \"bridge\", \"isGateway\": \"yes\" }|7|isGateway must be true or false",
        "{ \"type\": \"bridge\", \"args\": { \"cni\": { \"mac\": \"zz\" } } }|7|args.cni.mac",
        "{ \"type\": \"bridge\", \"disableContainerInterface\": true, \"ipam\": { \"type\": \"host-local\" } }|7|disableContainerInterface",
        "{ \"type\": \"bridge\", \"bridge\": \"br0\", \"ipam\": { \"type\": \"host-local\", \"dataDir\": \"@DATA@\", \"subnet\": \"10.50.0.0/31\" } }|7|too small"
      })
  void invalidConfigurationsAreRefused(String plugin, int code, String part) throws Exception {
    host.network("n", "1.0.0", plugin);
    assertAddRefused(attachment(a), code, part);
    // DEL succeeds after a failed ADD if the plugins exist.
    if (!plugin.contains("no-such")) {
      network("n").delete(attachment(a));
    }
  }

  @Test
  void vlanWithoutKernelSupportNamesTheKernelOption() throws Exception {
    host.network("n", "1.0.0", TestHost.DUAL_STACK.formatted("\"vlan\": 5,"));
    try {
      network("n").add(attachment(a));
      network("n").delete(attachment(a)); // on a kernel with VLAN filtering
    } catch (CniException e) {
      assertEquals(7, e.code());
      assertTrue(e.getMessage().contains("CONFIG_BRIDGE_VLAN_FILTERING"), e::getMessage);
    }
    assertEquals(java.util.List.of(), host.reservations("n"));
  }

  @Test
  void addFailsOnExhaustedRangeUntilAddressIsReleased() throws Exception {
    host.network(
        "n", "1.0.0", TestHost.DUAL_STACK.formatted("").replace("10.50.0.0/24", "10.50.0.0/30"));
    network("n").add(attachment(a));
    NetNs b = host.container("b");
    CniException e = assertThrows(CniException.class, () -> network("n").add(attachment(b)));
    assertEquals(11, e.code());
    assertTrue(e.getMessage().contains("10.50.0.1-10.50.0.2"), e::getMessage);
    assertEquals(2, host.reservations("n").size());
    assertEquals(1, TestBed.linkNames(host.netns(), "veth").size());
    network("n").delete(attachment(a));
    network("n").add(attachment(b));
    network("n").delete(attachment(b));
    host.assertNothingLeft("n", a, b);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "exec sleep 60|11|did not end by the deadline",
        "kill -SEGV $$|999|was ended by signal 11",
        "echo oops|6|oops",
        "exit 0|6|printed no result",
        "echo reason >&2; exit 5|999|reason",
        "echo '{\"code\":103,\"msg\":\"not today\"}'; exit 1|103|not today",
        "echo '{\"ips\":[{\"address\":\"10.0.0.1\"}]}'|6|ips[0].address"
      })
  void misbehavingExecutableFailsAddAndLeavesNothing(String body, int code, String part)
      throws Exception {
    host.script("odd", "[ $CNI_COMMAND = ADD ] || exit 0\n" + body);
    host.network("n", "1.0.0", TestHost.DUAL_STACK.formatted(""), "{ \"type\": \"odd\" }");
    assertAddRefused(attachment(a), code, part, "ADD by odd");
    // The same script as the ipam plugin.
    host.network(
        "n",
        "1.0.0",
        "{ \"type\": \"bridge\", \"bridge\": \"br0\", \"ipam\": { \"type\": \"odd\" } }");
    assertAddRefused(attachment(a), code, part);
  }

  @Test
  void ipamResultWithoutAddressIsRefused() throws Exception {
    host.script("odd", "[ $CNI_COMMAND = ADD ] || exit 0\necho '{\"cniVersion\":\"1.0.0\"}'");
    host.network(
        "n",
        "1.0.0",
        "{ \"type\": \"bridge\", \"bridge\": \"br0\", \"ipam\": { \"type\": \"odd\" } }");
    assertAddRefused(attachment(a), 7, "without an address");
  }

  @Test
  void interruptedAddIsRolledBack() throws Exception {
    host.script("slow", "[ $CNI_COMMAND = ADD ] || exit 0\nexec sleep 60");
    host.network("n", "1.0.0", TestHost.DUAL_STACK.formatted(""), "{ \"type\": \"slow\" }");
    Network network = host.openCni().network("n");
    Thread caller = Thread.currentThread();
    Thread.ofPlatform()
        .start(
            () -> {
              while (ProcessHandle.current().children().findAny().isEmpty()) {
                Thread.onSpinWait();
              }
              caller.interrupt();
            });
    CniException e = assertThrows(CniException.class, () -> network.add(attachment(a)));
    assertTrue(Thread.interrupted());
    assertTrue(e.getMessage().contains("interrupted"), e::getMessage);
    host.assertNothingLeft("n", a);
  }

  @Test
  void killedIpamExecutableReceivesDelete() throws Exception {
    Path reserved = host.ipamData().resolveSibling("reserved");
    host.script(
        "odd",
        "case $CNI_COMMAND in ADD) touch %s; kill -KILL $$;; DEL) rm -f %s;; esac"
            .formatted(reserved, reserved));
    host.network(
        "n",
        "1.0.0",
        "{ \"type\": \"bridge\", \"bridge\": \"br0\", \"ipam\": { \"type\": \"odd\" } }");
    assertAddRefused(attachment(a), 999, "was ended by signal 9");
    assertTrue(Files.notExists(reserved), "the address was not released");
  }

  @Test
  void cacheFileNameOverLimitIsRefused() throws Exception {
    Attachment attachment = Attachment.of("c".repeat(250), a.path(), "eth0");
    assertAddRefused(attachment, 4, "CNI_CONTAINERID", "255 bytes");
    network("n").delete(attachment);
  }

  @Test
  void attachmentsSharingACacheFileNameAreKeptApart() throws Exception {
    host.network("n-a", "1.0.0", TestHost.DUAL_STACK.formatted(""));
    Attachment first = Attachment.of("b", a.path(), "eth0");
    Attachment second = Attachment.of("a-b", Path.of("/run/netns/deleted"), "eth0");
    network("n-a").add(first); // both would be cached as n-a-b-eth0
    network("n").delete(second);
    network("n-a").check(first);
    assertTrue(Probe.ping(a, "10.50.0.1"));
    NetNs b = host.container("b");
    CniException e =
        assertThrows(
            CniException.class, () -> network("n").add(Attachment.of("a-b", b.path(), "eth0")));
    assertEquals(4, e.code());
    assertTrue(e.getMessage().contains("another attachment"), e::getMessage);
    network("n-a").delete(first);
    host.assertNothingLeft("n-a", a, b);
  }
}
