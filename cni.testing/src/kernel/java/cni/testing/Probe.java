// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** Packets that a test sends from a namespace to see whether they arrive. */
public final class Probe {
  private static final int TIMEOUT_MILLIS = 1500;

  private Probe() {}

  /**
   * Pings an address from a namespace, once a second for at most three seconds: the first packet
   * may be lost while neighbours are resolved.
   *
   * @return whether there was a reply
   * @throws IOException if {@code ping} cannot be started
   */
  public static boolean ping(NetNs from, String address) throws IOException {
    return TestBed.tryRun(from, "ping", "-n", "-c1", "-w3", address).status() == 0;
  }

  /**
   * Connects to an {@link EchoServer} over TCP.
   *
   * @return the source address that the server saw; empty without a reply within 1.5 seconds
   * @throws IOException if the namespace cannot be entered
   */
  public static Optional<String> tcp(NetNs from, String address, int port) throws IOException {
    return from.<Optional<String>, IOException>call(
        () -> {
          try (var socket = new Socket()) {
            socket.setSoTimeout(TIMEOUT_MILLIS);
            socket.connect(socketAddress(address, port), TIMEOUT_MILLIS);
            byte[] reply = socket.getInputStream().readAllBytes();
            return Optional.of(new String(reply, StandardCharsets.UTF_8))
                .filter(it -> !it.isEmpty());
          } catch (IOException e) {
            return Optional.empty();
          }
        });
  }

  /**
   * Sends a datagram to an {@link EchoServer}.
   *
   * @return the source address that the server saw; empty without a reply within 1.5 seconds
   * @throws IOException if the namespace cannot be entered
   */
  public static Optional<String> udp(NetNs from, String address, int port) throws IOException {
    try (DatagramSocket socket =
        from.<DatagramSocket, IOException>call(() -> new DatagramSocket())) {
      return udp(socket, address, port);
    }
  }

  /**
   * Sends a datagram to an {@link EchoServer} from a given socket, which keeps its port.
   *
   * @return the source address that the server saw; empty without a reply within 1.5 seconds
   * @throws IOException if the socket is closed
   */
  public static Optional<String> udp(DatagramSocket socket, String address, int port)
      throws IOException {
    socket.setSoTimeout(TIMEOUT_MILLIS);
    try {
      byte[] request = {'?'};
      socket.send(new DatagramPacket(request, 1, socketAddress(address, port)));
      var reply = new DatagramPacket(new byte[64], 64);
      socket.receive(reply);
      return Optional.of(new String(reply.getData(), 0, reply.getLength(), StandardCharsets.UTF_8));
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  private static InetSocketAddress socketAddress(String address, int port) {
    return new InetSocketAddress(InetAddress.ofLiteral(address), port);
  }
}
