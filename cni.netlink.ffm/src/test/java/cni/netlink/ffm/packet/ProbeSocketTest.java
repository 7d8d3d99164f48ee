// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.packet;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.packet.ProbeSocket.Kind;
import cni.netlink.ffm.route.IpFamily;
import cni.testing.EchoServer;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.io.IOException;
import java.net.InetAddress;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Probes between two namespaces. */
@KernelTest
class ProbeSocketTest {
  private static final int PORT = 8080;
  private static final Duration TIMEOUT = Duration.ofSeconds(2);

  private final TestBed bed;
  private final NetNs peer;

  ProbeSocketTest(TestBed bed) throws IOException {
    this.bed = bed;
    peer = bed.namespace("peer");
  }

  @BeforeEach
  void connect() throws IOException {
    TestBed.connect(bed.netns(), "v0", peer, "v1");
    TestBed.addAddress(bed.netns(), "v0", "192.0.2.1", 24);
    TestBed.addAddress(peer, "v1", "192.0.2.2", 24);
    TestBed.addAddress(bed.netns(), "v0", "2001:db8::1", 64);
    TestBed.addAddress(peer, "v1", "2001:db8::2", 64);
  }

  private static InetAddress peerAddress(IpFamily family) {
    return InetAddress.ofLiteral(family == IpFamily.IPV4 ? "192.0.2.2" : "2001:db8::2");
  }

  private ProbeSocket open(Kind kind, IpFamily family) throws KernelException {
    return ProbeSocket.open(bed.netns(), kind, family, Optional.empty());
  }

  private static boolean isAnswered(ProbeSocket socket) throws KernelException {
    long end = System.nanoTime() + TIMEOUT.toNanos();
    while (System.nanoTime() - end < 0) {
      if (socket.receive(Duration.ofMillis(50))) {
        return true;
      }
    }
    return false;
  }

  @ParameterizedTest
  @EnumSource
  void connectionIsAcceptedOrRefused(IpFamily family) throws Exception {
    try (ProbeSocket socket = open(Kind.TCP, family)) {
      KernelException e =
          assertThrows(
              KernelException.class, () -> socket.connect(peerAddress(family), PORT, TIMEOUT));
      assertEquals(Errno.ECONNREFUSED, e.errno());
    }
    try (EchoServer _ = EchoServer.start(peer, PORT);
        ProbeSocket socket = open(Kind.TCP, family)) {
      socket.connect(peerAddress(family), PORT, TIMEOUT);
      assertTrue(socket.receive(TIMEOUT));
    }
  }

  @ParameterizedTest
  @EnumSource
  void datagramIsAnswered(IpFamily family) throws Exception {
    try (EchoServer _ = EchoServer.start(peer, PORT);
        ProbeSocket socket = open(Kind.UDP, family)) {
      socket.connect(peerAddress(family), PORT, TIMEOUT);
      assertFalse(socket.receive(Duration.ofMillis(1)));
      socket.send(new byte[] {'?'});
      assertTrue(isAnswered(socket));
    }
  }

  @ParameterizedTest
  @EnumSource
  void echoRequestIsAnswered(IpFamily family) throws Exception {
    try (ProbeSocket socket = open(Kind.ECHO, family)) {
      socket.connect(peerAddress(family), 0, TIMEOUT);
      socket.send("twelve bytes".getBytes(US_ASCII));
      assertTrue(isAnswered(socket));
    }
  }

  @ParameterizedTest
  @EnumSource
  void packetLongerThanTheMtuIsRefused(IpFamily family) throws Exception {
    try (ProbeSocket socket = open(Kind.UDP, family)) {
      socket.connect(peerAddress(family), PORT, TIMEOUT);
      KernelException e = assertThrows(KernelException.class, () -> socket.send(new byte[1500]));
      assertEquals(Errno.EMSGSIZE, e.errno());
    }
  }

  @ParameterizedTest
  @EnumSource
  void missingRouteIsReported(IpFamily family) throws Exception {
    InetAddress elsewhere =
        InetAddress.ofLiteral(family == IpFamily.IPV4 ? "198.51.100.1" : "2001:db8:9::1");
    try (ProbeSocket socket = open(Kind.UDP, family)) {
      KernelException e =
          assertThrows(KernelException.class, () -> socket.connect(elsewhere, PORT, TIMEOUT));
      assertEquals(Errno.ENETUNREACH, e.errno());
    }
  }
}
