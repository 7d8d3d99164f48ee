// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.netlink.ffm.route.IpFamily;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What the verdict says of packets that arrive where no program takes them. */
@KernelTest(commands = {"ip", "nft"})
class ListenerSearchTest {
  private static String verdict(PathWorld world, PathEnd to, String address, int port)
      throws Exception {
    var tracer =
        new PathTracer(Optional.of(world.host().netns().path()), world.cni().attachments());
    PathReport report =
        tracer.trace(
            new PathQuery(
                world.end(world.a()),
                to,
                InetAddress.ofLiteral(address),
                ProbeProtocol.TCP,
                port,
                0,
                true));
    assertEquals(Fate.ARRIVES, report.fate());
    assertEquals(Optional.of(PathCause.NO_LISTENER), report.finding().map(PathFinding::cause));
    return report.finding().orElseThrow().text();
  }

  @Test
  void serverOnLoopbackIsNamed() throws Exception {
    try (var world = new PathWorld(IpFamily.IPV4)) {
      world.bridge();
      TestBed.run(world.b(), "ip", "link", "set", "lo", "up");
      try (ServerSocket server =
          world
              .b()
              .<ServerSocket, IOException>call(
                  () -> new ServerSocket(0, 1, InetAddress.ofLiteral("127.0.0.1")))) {
        String expected =
            "the program of %s on TCP port %d listens on 127.0.0.1 only, not on 10.50.0.3"
                .formatted(TestBed.nameOf(world.b()), server.getLocalPort());
        assertEquals(
            expected, verdict(world, world.end(world.b()), "10.50.0.3", server.getLocalPort()));
      }
    }
  }

  @Test
  void portThatIsNotPublishedIsNamed() throws Exception {
    try (var world = new PathWorld(IpFamily.IPV4)) {
      world.bridge();
      assertEquals(
          "port 8080 is not published by any attachment, and no program of host listens on TCP port"
              + " 8080",
          verdict(world, new PathEnd.Host(), "10.50.0.1", 8080));
    }
  }
}
