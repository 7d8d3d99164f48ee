// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.InetAddresses;
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

/** Our modules and the reference plugins in one chain, and on the same state of the host. */
@KernelTest(reference = true)
class ReferenceInteropTest {
  private final TestHost host;
  private final NetNs a;
  private final NetNs b;

  ReferenceInteropTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
  }

  /** Serves these types with the reference executables, all others with modules. */
  private Cni cni(String... executables) {
    return host.withReference(executables);
  }

  private Cni reference() {
    return cni("bridge", "host-local", "loopback", "tuning");
  }

  @Test
  void moduleAndExecutableWorkInOneChain() throws Exception {
    host.network(
        "n",
        "1.0.0",
        TestHost.DUAL_STACK.formatted(""),
        "{ \"type\": \"tuning\", \"sysctl\": { \"net.core.somaxconn\": \"477\" }, \"mtu\": 1300,"
            + " \"dataDir\": \"@DATA@\" }");
    Cni cni = cni("tuning");
    Result result = cni.network("n").add(attachment(a));
    assertEquals(3, result.interfaces().size());
    assertEquals(2, result.ips().size());
    assertEquals("477", TestBed.run(a, "sysctl", "-n", "net.core.somaxconn").strip());
    assertTrue(TestBed.run(a, "ip", "link", "show", "eth0").contains("mtu 1300"));
    assertTrue(Probe.ping(a, "10.50.0.1") && Probe.ping(a, "fd50::1"));
    cni.network("n").check(attachment(a));
    TestBed.run(a, "sysctl", "-w", "net.core.somaxconn=100");
    CniException e = assertThrows(CniException.class, () -> cni.network("n").check(attachment(a)));
    assertTrue(e.getMessage().contains("CHECK by tuning"), e::getMessage);
    cni.network("n").delete(attachment(a));
    host.assertNothingLeft("n", a);
  }

  @Test
  void ourBridgeDelegatesToReferenceHostLocal() throws Exception {
    host.dualStack("n", "");
    Cni mixed = cni("host-local");
    Result first = mixed.network("n").add(attachment(a));
    Result second = cni().network("n").add(attachment(b)); // same directory, served by the module
    assertEquals(List.of("10.50.0.2", "10.50.0.3", "fd50::2", "fd50::3"), host.reservations("n"));
    assertTrue(Probe.ping(a, InetAddresses.format(second.ips().getFirst().address().address())));
    assertTrue(Probe.ping(b, InetAddresses.format(first.ips().getLast().address().address())));
    mixed.network("n").check(attachment(b));
    cni().network("n").check(attachment(a));
    mixed.network("n").delete(attachment(b));
    cni().network("n").delete(attachment(a));
    host.assertNothingLeft("n", a, b);
  }

  @Test
  void referencePluginsCheckAndDeleteOurAttachment() throws Exception {
    host.dualStack("n", "\"hairpinMode\": true,");
    cni().network("n").add(attachment(a));
    reference().network("n").check(attachment(a));
    reference().network("n").delete(attachment(a));
    host.assertNothingLeft("n", a);
  }

  @Test
  void weCheckAndDeleteTheReferencePluginsAttachment() throws Exception {
    host.dualStack("n", "\"hairpinMode\": true,");
    Result theirs = reference().network("n").add(attachment(a));
    cni().network("n").check(attachment(a));
    cni().network("n").delete(attachment(a));
    host.assertNothingLeft("n", a);
    Result ours = cni().network("n").add(attachment(b));
    assertEquals(
        theirs.interfaces().stream().map(Result.Interface::name).toList().getLast(),
        ours.interfaces().getLast().name());
    assertEquals(theirs.interfaces().size(), ours.interfaces().size());
    assertEquals(theirs.routes(), ours.routes());
    assertEquals(theirs.ips().getFirst().gateway(), ours.ips().getFirst().gateway());
    assertEquals(theirs.ips().getFirst().interfaceIndex(), ours.ips().getFirst().interfaceIndex());
    reference()
        .network("n")
        .delete(attachment(b).withoutNamespace()); // the reference then releases only the addresses
    assertEquals(List.of(), host.reservations("n"));
  }

  @Test
  void loopbackResultsAreEqual() throws Exception {
    host.network("n", "1.0.0", "{ \"type\": \"loopback\" }");
    Result ours = cni().network("n").add(attachment(a));
    reference().network("n").check(attachment(a));
    Result theirs = reference().network("n").add(attachment(b));
    assertEquals(
        ours.ips().stream().map(ip -> ip.address().toString()).toList(),
        theirs.ips().stream().map(ip -> ip.address().toString()).toList());
    cni().network("n").check(attachment(b));
  }

  @Test
  void failedChainIsRolledBackByModulesAndExecutables() throws Exception {
    host.network(
        "n",
        "1.0.0",
        TestHost.DUAL_STACK.formatted(""),
        "{ \"type\": \"tuning\", \"sysctl\": { \"kernel.no.such\": \"1\" } }");
    for (Cni cni : List.of(cni(), reference())) {
      CniException e = assertThrows(CniException.class, () -> cni.network("n").add(attachment(a)));
      assertTrue(e.getMessage().contains("ADD by tuning"), e::getMessage);
      host.assertNothingLeft("n", a);
    }
  }
}
