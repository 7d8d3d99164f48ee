package cni.doctor.path;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.doctor.PastedRemedy;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.IpFamily;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.net.InetAddress;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What is named as the cause of a damage, and the command that mends it. */
@KernelTest(commands = {"nft", "iptables"})
class PathRemedyTest {
  private PathWorld world;

  @BeforeEach
  void open() throws Exception {
    world = new PathWorld(IpFamily.IPV4);
  }

  @AfterEach
  void close() throws Exception {
    world.close();
  }

  private PathFinding trace(NetNs from, PathEnd to, String address, ProbeProtocol protocol)
      throws CniException {
    var tracer =
        new PathTracer(Optional.of(world.host().netns().path()), world.cni().attachments());
    int port = protocol.hasPorts() ? 8000 : 0;
    var query =
        new PathQuery(world.end(from), to, InetAddress.ofLiteral(address), protocol, port, 0, true);
    return tracer.trace(query).finding().orElseThrow();
  }

  private static void assertFinding(
      PathFinding finding, PathCause cause, String text, String remedy) {
    assertEquals(cause, finding.cause(), finding::toString);
    assertTrue(finding.text().contains(text), finding::toString);
    assertEquals(remedy, finding.remedy(), finding::toString);
    PastedRemedy.assertPasteable(finding.remedy());
  }

  private String name(NetNs container) {
    return "n/" + TestBed.nameOf(container);
  }

  @Test
  void containerHasLostItsInterface() throws Exception {
    world.bridge();
    PathWorld.in(world.b(), "ip", "link", "del", "eth0");
    String remedy = "cni update n " + world.b().path() + " --recreate";
    PathFinding to = trace(world.a(), world.end(world.b()), "10.50.0.3", ProbeProtocol.ICMP);
    assertFinding(to, PathCause.INTERFACE_GONE, name(world.b()) + " has lost its", remedy);
    PathFinding from = trace(world.b(), world.end(world.a()), "10.50.0.2", ProbeProtocol.ICMP);
    assertFinding(from, PathCause.INTERFACE_GONE, name(world.b()) + " has lost its", remedy);
  }

  @Test
  void containerIsGone() throws Exception {
    world.bridge();
    PathEnd b = world.end(world.b());
    Path path = world.b().path();
    world.host().delete(world.b());
    PathFinding found = trace(world.a(), b, "10.50.0.3", ProbeProtocol.ICMP);
    assertFinding(found, PathCause.NAMESPACE_GONE, path + ", does not exist", "cni gc n");
  }
}
