// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.packet;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.RouteSocket;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

@KernelTest
class PacketSocketTest {
  private static final int PORT = 68;

  /** The buffer that the kernel writes to must not be freed while another thread receives. */
  @Test
  void socketClosedWhileAThreadReceivesKeepsItsBuffer() throws Exception {
    try (TestBed bed = new TestBed()) {
      NetNs peer = bed.namespace("peer");
      TestBed.connect(bed.netns(), "a0", peer, "b0");
      PacketSocket receiver = open(bed.netns(), "a0");
      try (PacketSocket sender = open(peer, "b0")) {
        var received = new CompletableFuture<Optional<byte[]>>();
        Thread thread =
            Thread.ofPlatform()
                .start(
                    () -> {
                      try {
                        received.complete(receiver.receive(Duration.ofSeconds(10)));
                      } catch (IOException | RuntimeException e) {
                        received.completeExceptionally(e);
                      }
                    });
        awaitReceiving(thread);
        receiver.close();
        byte[] datagram = datagram();
        sender.broadcast(datagram);
        Optional<byte[]> content = received.get(20, TimeUnit.SECONDS);
        assertTrue(content.isPresent());
        assertArrayEquals(datagram, content.get());
      }
    }
  }

  private static PacketSocket open(NetNs netns, String link) throws IOException {
    try (RouteSocket routing = RouteSocket.open(netns)) {
      return PacketSocket.open(netns, routing.links(link).getFirst().index(), PORT);
    }
  }

  /** Waits until the thread has called recvfrom(2): it cannot be observed in another way. */
  private static void awaitReceiving(Thread thread) throws InterruptedException {
    for (int i = 0; i < 20 && thread.isAlive(); i++) {
      Thread.sleep(10);
    }
  }

  /** An IPv4 header of 20 bytes and a UDP header of 8 bytes, without content. */
  private static byte[] datagram() {
    byte[] bytes = new byte[28];
    bytes[0] = 0x45;
    bytes[3] = 28;
    bytes[8] = 64;
    bytes[9] = 17;
    bytes[23] = PORT;
    bytes[25] = 8;
    return bytes;
  }
}
