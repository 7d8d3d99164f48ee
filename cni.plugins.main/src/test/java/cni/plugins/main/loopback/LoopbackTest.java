// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.loopback;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.AttachmentPresence;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The loopback plugin. */
@KernelTest
class LoopbackTest {
  private final TestHost host;
  private final NetNs a;
  private final NetNs b;

  LoopbackTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    b = host.container("b");
  }

  private Network network() throws CniException {
    return host.openCni().network("n");
  }

  @Test
  void addSetsLoopbackUpAndPassesPrevResultOn() throws Exception {
    host.network("n", "1.0.0", "{ \"type\": \"loopback\" }");
    Result result = network().add(attachment(a));
    assertEquals("lo", result.interfaces().getFirst().name());
    assertEquals("127.0.0.1/8", result.ips().getFirst().address().toString());
    assertTrue(Probe.ping(a, "127.0.0.1") && Probe.ping(a, "::1"));
    network().check(attachment(a));
    TestBed.run(a, "ip", "link", "set", "lo", "down");
    CniException e = assertThrows(CniException.class, () -> network().check(attachment(a)));
    assertTrue(e.getMessage().contains("interface lo in the container"), e::getMessage);
    network().delete(attachment(a));
    host.network("n", "1.0.0", TestHost.DUAL_STACK.formatted(""), "{ \"type\": \"loopback\" }");
    assertEquals(3, network().add(attachment(b)).interfaces().size());
    network().check(attachment(b));
    assertTrue(Probe.ping(b, "127.0.0.1"));
    network().delete(attachment(b));
    assertFalse(TestBed.run(b, "ip", "link", "show", "lo").contains("UP"));
  }

  /** The interface is lo, whatever CNI_IFNAME requests. */
  @Test
  void anAttachmentToLoopbackIsPresent() throws Exception {
    host.network("n", "1.0.0", "{ \"type\": \"loopback\" }");
    host.network("m", "1.0.0", "{ \"type\": \"loopback\" }", TestHost.DUAL_STACK.formatted(""));
    try (Cni cni = host.openCni()) {
      cni.network("n").add(attachment(a));
      cni.network("m").add(attachment(b));
      assertEquals(
          Set.of(AttachmentPresence.PRESENT),
          cni.attachments().stream()
              .map(CachedAttachment::presence)
              .collect(Collectors.toUnmodifiableSet()));
      TestBed.run(b, "ip", "link", "del", "eth0");
      assertEquals(
          Map.of("n", AttachmentPresence.PRESENT, "m", AttachmentPresence.INTERFACE_GONE),
          cni.attachments().stream()
              .collect(Collectors.toMap(CachedAttachment::network, CachedAttachment::presence)));
    }
  }

  @Test
  void failedAddLeavesLoopbackDown() throws Exception {
    host.network("n", "1.0.0", "{ \"type\": \"loopback\" }");
    TestBed.run(a, "ip", "addr", "add", "10.60.0.1/32", "dev", "lo");
    CniException e = assertThrows(CniException.class, () -> network().add(attachment(a)));
    assertTrue(e.getMessage().contains("10.60.0.1/32"), e::getMessage);
    assertFalse(TestBed.run(a, "ip", "link", "show", "lo").contains("UP"));
  }
}
