// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.doctor.PastedRemedy;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import java.io.IOException;
import java.net.ConnectException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetSocketAddress;
import java.net.PortUnreachableException;
import java.net.Socket;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * That the verdict about a packet is what really becomes of packets, and that the obstacle is the
 * one that the test has put in the way. What becomes of them is measured by ordinary sockets and
 * ping before the verdict is asked for.
 */
@KernelTest(commands = {"nft", "iptables", "ip6tables"})
class PathFateTest {
  static List<PathSituations.Situation> situations() {
    return PathSituations.all();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("situations")
  void verdictIsTheFate(PathSituations.Situation situation) throws Exception {
    try (var world = new PathWorld(situation.family())) {
      PathSituations.Packet packet = situation.setup().make(world);
      // Neighbours that the measurement has failed to resolve are asked for again afterwards.
      boolean arrives = measure(situation.protocol(), packet);
      var tracer =
          new PathTracer(Optional.of(world.host().netns().path()), world.cni().attachments());
      PathReport report =
          tracer.trace(
              new PathQuery(
                  world.end(packet.from()),
                  world.end(packet.to()),
                  packet.address(),
                  situation.protocol(),
                  packet.port(),
                  packet.size(),
                  true));
      String text = String.join("\n", PathText.lines(report));
      assertEquals(situation.fate(), report.fate(), text);
      assertEquals(situation.cause(), report.finding().map(PathFinding::cause), text);
      boolean isExpectedToArrive =
          situation.protocol() == ProbeProtocol.UDP ? arrives || isOneWay(situation) : arrives;
      assertEquals(isExpectedToArrive, report.fate().isGood(), "measured otherwise: " + text);
      report.finding().ifPresent(it -> PastedRemedy.assertPasteable(it.remedy()));
      requireNothingLeft(world);
    }
  }

  /** An echo server's answer to a datagram does not come back although the datagram arrives. */
  private static boolean isOneWay(PathSituations.Situation situation) {
    return situation.name().equals("datagram without way back");
  }

  private static void requireNothingLeft(PathWorld world) throws IOException {
    for (NetNs netns : world.host().namespaces()) {
      String tables = TestBed.run(netns, "nft", "list", "tables");
      assertEquals(-1, tables.indexOf("cni_why"), tables);
    }
  }

  private static boolean measure(ProbeProtocol protocol, PathSituations.Packet packet)
      throws IOException {
    String address = PathSituations.text(packet.address());
    return switch (protocol) {
      case TCP ->
          packet.isServed()
              ? Probe.tcp(packet.from(), address, packet.port()).isPresent()
              : isRefused(packet);
      case UDP ->
          packet.size() > 0
              ? ping(packet)
              : packet.isServed()
                  ? Probe.udp(packet.from(), address, packet.port()).isPresent()
                  : isUnreachable(packet);
      case ICMP -> ping(packet);
    };
  }

  private static boolean ping(PathSituations.Packet packet) throws IOException {
    int headers = packet.address().getAddress().length == 4 ? 28 : 48;
    String size = String.valueOf(Math.max(packet.size() - headers, 56));
    String address = PathSituations.text(packet.address());
    return TestBed.tryRun(
                packet.from(), "ping", "-n", "-c1", "-w2", "-M", "do", "-s", size, address)
            .status()
        == 0;
  }

  /** Returns whether the destination reports that nothing listens on the port. */
  private static boolean isUnreachable(PathSituations.Packet packet) throws IOException {
    return packet
        .from()
        .<Boolean, IOException>call(
            () -> {
              try (var socket = new DatagramSocket()) {
                socket.setSoTimeout(1500);
                socket.connect(new InetSocketAddress(packet.address(), packet.port()));
                socket.send(new DatagramPacket(new byte[1], 1));
                socket.receive(new DatagramPacket(new byte[1], 1));
                return false;
              } catch (PortUnreachableException e) {
                return true;
              } catch (IOException e) {
                return false;
              }
            });
  }

  private static boolean isRefused(PathSituations.Packet packet) throws IOException {
    return packet
        .from()
        .<Boolean, IOException>call(
            () -> {
              try (var socket = new Socket()) {
                socket.connect(new InetSocketAddress(packet.address(), packet.port()), 1500);
                return false;
              } catch (ConnectException e) {
                return String.valueOf(e.getMessage()).contains("refused");
              } catch (IOException e) {
                return false;
              }
            });
  }
}
