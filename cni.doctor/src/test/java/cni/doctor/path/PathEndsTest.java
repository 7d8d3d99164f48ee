// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.IpFamily;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.net.InetAddress;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Names of containers, namespaces and addresses, and packets that are not sent. */
@KernelTest(commands = "nft")
class PathEndsTest {
  private PathWorld world;

  @BeforeEach
  void open() throws Exception {
    world = new PathWorld(IpFamily.IPV4);
    world.bridge();
  }

  @AfterEach
  void close() throws Exception {
    world.close();
  }

  private PathEnds ends() throws CniException {
    return new PathEnds(
        Optional.of(world.host().netns().path()), world.cni().attachments(), Path::of);
  }

  private static InetAddress address(String text) {
    return InetAddress.ofLiteral(text);
  }

  @Test
  void containerIsNamedByItsIdItsNetworkAndItsAddress() throws Exception {
    String id = TestBed.nameOf(world.a());
    List<InetAddress> both = List.of(address("10.50.0.2"), address("fd50::2"));
    var whole = new PathEnd.Namespace("n/" + id, world.a().path(), both);
    assertEquals(whole, ends().parse(id));
    assertEquals(whole, ends().parse("n/" + id));
    assertEquals(
        new PathEnd.Namespace("n/" + id, world.a().path(), List.of(address("fd50::2"))),
        ends().parse("fd50::2"));
  }

  @Test
  void beginningOfSeveralIdsIsRefusedWithTheirNames() {
    String common = world.host().prefix();
    CniException e = assertThrows(CniException.class, () -> ends().parse(common));
    assertEquals(ErrorCode.INVALID_PARAMETER.value(), e.code());
    assertTrue(
        String.valueOf(e.getMessage()).endsWith("n/" + common + "a, n/" + common + "b"),
        e.getMessage());
  }

  @Test
  void namespaceHasTheAddressesOfItsInterfaces() throws Exception {
    String path = world.outside().path().toString();
    PathEnd.Namespace end = (PathEnd.Namespace) ends().parse(path);
    assertEquals(
        List.of(address(TestHost.OUTSIDE_V4), address(TestHost.OUTSIDE_V6)), end.addresses());
  }

  @Test
  void namespaceOfAnAttachmentIsKnownWhenItIsGone() throws Exception {
    world.host().delete(world.a());
    PathEnd.Namespace end = (PathEnd.Namespace) ends().parse(world.a().path().toString());
    assertEquals(List.of(address("10.50.0.2"), address("fd50::2")), end.addresses());
    PathReport report = unsent(ends().parse("n/" + TestBed.nameOf(world.b())), end, 90);
    assertEquals(Optional.of(PathCause.NAMESPACE_GONE), report.finding().map(PathFinding::cause));
  }

  @Test
  void addressOfTheHostIsTheHostAndAnyOtherIsOutside() throws Exception {
    assertEquals(new PathEnd.Host(), ends().parse("10.50.0.1"));
    assertEquals(new PathEnd.Outside(address("203.0.113.1")), ends().parse("203.0.113.1"));
  }

  @Test
  void hostIsReachedByItsAddressOnTheNetworkOfTheSource() throws Exception {
    world.outside();
    PathEnd container = ends().parse(TestBed.nameOf(world.a()));
    assertEquals(
        List.of(address("10.50.0.1"), address("fd50::1")),
        ends().addresses(container, new PathEnd.Host()));
    PathEnd outside = ends().parse(TestHost.OUTSIDE_V4);
    assertEquals(List.of(address(TestHost.HOST_V4)), ends().addresses(outside, new PathEnd.Host()));
  }

  @Test
  void unknownNameIsRefusedWithTheKnownOnes() {
    CniException e = assertThrows(CniException.class, () -> ends().parse("missing"));
    String prefix = world.host().prefix();
    assertTrue(
        String.valueOf(e.getMessage()).contains("n/" + prefix + "a, n/" + prefix + "b"),
        e.getMessage());
  }

  @Test
  void misspeltNameIsRefusedWithTheNearest() {
    String near = TestBed.nameOf(world.a());
    CniException e = assertThrows(CniException.class, () -> ends().parse(near + "a"));
    assertTrue(String.valueOf(e.getMessage()).endsWith("did you mean " + near + "?"), e.toString());
  }

  @Test
  void containerWhoseIdIsDerivedHasTheNameOfItsNamespace() throws Exception {
    NetNs c = world.host().container("c");
    var id = new AttachmentId("cnitool-0123456789abcdef0123", "eth0");
    world.cni().network("n").add(new Attachment(id, Optional.of(c.path()), Map.of(), Map.of()));
    PathEnd byId = ends().parse("n/" + id.containerId());
    assertEquals("n/" + TestBed.nameOf(c), byId.name());
    assertEquals(byId, ends().parse(byId.name()));
  }

  private PathReport unsent(PathEnd from, PathEnd to, int port) throws CniException {
    InetAddress address = ends().addresses(from, to).getFirst();
    var tracer =
        new PathTracer(Optional.of(world.host().netns().path()), world.cni().attachments());
    return tracer.trace(new PathQuery(from, to, address, ProbeProtocol.TCP, port, 0, false));
  }

  /** Neither rules nor packets: the ruleset is the same, and the server sees no connection. */
  @Test
  void withoutProbeTheConfigurationAloneDecides() throws Exception {
    world.serve(world.b());
    PathEnd a = ends().parse(TestBed.nameOf(world.a()));
    PathEnd b = ends().parse(TestBed.nameOf(world.b()));
    PathReport open = unsent(a, b, PathWorld.PORT);
    assertEquals(Fate.NO_OBSTACLE, open.fate());
    assertEquals(Optional.empty(), open.finding());
    assertEquals(
        Optional.of(PathCause.NO_LISTENER), unsent(a, b, 81).finding().map(PathFinding::cause));
    world.host("ip", "link", "set", "br50", "down");
    PathReport down = unsent(a, b, PathWorld.PORT);
    assertEquals(Fate.LOST, down.fate());
    assertEquals(Optional.of(PathCause.LINK_DOWN), down.finding().map(PathFinding::cause));
  }

  @Test
  void pathFromAnAddressOutsideIsWalked() throws Exception {
    PathEnd from = new PathEnd.Outside(address("203.0.113.1"));
    PathEnd to = ends().parse("10.50.0.3");
    PathReport unreachable = unsent(from, to, 81);
    assertEquals(Optional.of(PathCause.NO_ROUTE), unreachable.finding().map(PathFinding::cause));
    world.outside();
    PathReport reached = unsent(from, to, 81);
    assertEquals(Fate.NO_OBSTACLE, reached.fate());
    assertEquals("n/" + TestBed.nameOf(world.b()), reached.steps().getLast().place());
  }
}
