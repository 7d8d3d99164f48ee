// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

@KernelTest
class TestBedTest {
  private static NetNs connected(TestBed bed) throws IOException {
    NetNs other = bed.namespace("other");
    TestBed.connect(bed.netns(), "veth0", other, "veth1");
    TestBed.addAddress(bed.netns(), "veth0", "192.0.2.1", 24);
    TestBed.addAddress(other, "veth1", "192.0.2.2", 24);
    TestBed.addAddress(bed.netns(), "veth0", "2001:db8::1", 64);
    TestBed.addAddress(other, "veth1", "2001:db8::2", 64);
    return other;
  }

  @Test
  void packetsCrossALinkAndTheServerReportsTheirSource(TestBed bed) throws Exception {
    NetNs other = connected(bed);
    assertTrue(Probe.ping(bed.netns(), "192.0.2.2"));
    assertTrue(Probe.ping(bed.netns(), "2001:db8::2"));
    try (EchoServer _ = EchoServer.start(other, 7)) {
      assertEquals(Optional.of("192.0.2.1"), Probe.tcp(bed.netns(), "192.0.2.2", 7));
      assertEquals(Optional.of("192.0.2.1"), Probe.udp(bed.netns(), "192.0.2.2", 7));
      assertEquals(Optional.of("2001:db8:0:0:0:0:0:1"), Probe.tcp(bed.netns(), "2001:db8::2", 7));
      assertEquals(Optional.of("2001:db8:0:0:0:0:0:1"), Probe.udp(bed.netns(), "2001:db8::2", 7));
    }
    assertEquals(Optional.empty(), Probe.tcp(bed.netns(), "192.0.2.2", 7));
    assertEquals(Optional.empty(), Probe.udp(bed.netns(), "192.0.2.2", 7));
  }

  @Test
  void snapshotsDifferByWhatWasAdded(TestBed bed) throws Exception {
    NetNsSnapshot before = NetNsSnapshot.of(bed.netns());
    NetNs other = connected(bed);
    TestBed.run(bed.netns(), "tc", "qdisc", "add", "dev", "veth0", "root", "handle", "1:", "htb");
    NetNsSnapshot added = NetNsSnapshot.of(bed.netns()).minus(before);
    for (String kind : List.of("link", "address", "route", "qdisc")) {
      assertTrue(added.hasKind(kind), added::toString);
    }
    bed.delete(other);
    for (int i = 0; i < 100 && !TestBed.linkNames(bed.netns(), "veth").isEmpty(); i++) {
      Thread.sleep(20); // the kernel deletes the pair with the namespace, in the background
    }
    assertEquals(before, NetNsSnapshot.of(bed.netns()));
  }

  @Test
  void closeDeletesNamespacesAndDirectory() throws Exception {
    Path directory;
    Path netns;
    try (var bed = new TestBed()) {
      directory = bed.directory();
      netns = bed.netns().path();
      Files.writeString(directory.resolve("file"), "");
      assertTrue(Files.exists(netns));
    }
    assertFalse(Files.exists(directory));
    assertFalse(Files.exists(netns));
  }

  @Test
  void keptTestBedStaysAfterClose() throws Exception {
    var bed = new TestBed();
    TestBed.KEPT.set(true);
    try {
      bed.close();
    } finally {
      TestBed.KEPT.set(false);
    }
    assertTrue(Files.exists(bed.directory()));
    assertTrue(Files.exists(NetNs.pathOf(bed.prefix() + "host")));
    bed.close();
    assertFalse(Files.exists(bed.directory()));
  }

  @Test
  void failingCommandThrowsWithItsOutput(TestBed bed) {
    var error =
        assertThrows(
            AssertionError.class,
            () -> TestBed.run(bed.netns(), "ip", "link", "show", "no-such-link"));
    assertTrue(String.valueOf(error.getMessage()).contains("does not exist"), error::getMessage);
  }
}
