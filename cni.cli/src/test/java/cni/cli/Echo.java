package cni.cli;

import cni.netlink.ffm.NetNs;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** A server in a namespace that answers everybody with the address that it sees them come from. */
final class Echo implements AutoCloseable {
  private static final int PATIENCE_MILLIS = 1500;

  private final ServerSocket tcp;
  private final DatagramSocket udp;

  private Echo(ServerSocket tcp, DatagramSocket udp) {
    this.tcp = tcp;
    this.udp = udp;
    Thread.ofVirtual().start(this::serveTcp);
    Thread.ofPlatform().daemon().start(this::serveUdp);
  }

  /** Listens on a port for both protocols and both families. */
  static Echo in(NetNs netns, int port) throws IOException {
    return netns.<Echo, IOException>call(
        () -> new Echo(new ServerSocket(port), new DatagramSocket(port)));
  }

  private void serveTcp() {
    while (!tcp.isClosed()) {
      try (Socket peer = tcp.accept()) {
        peer.getOutputStream().write(bytes(peer.getInetAddress()));
      } catch (IOException e) {
        Thread.onSpinWait(); // closed, or one peer went away
      }
    }
  }

  private void serveUdp() {
    byte[] buffer = new byte[64];
    while (!udp.isClosed()) {
      try {
        var question = new DatagramPacket(buffer, buffer.length);
        udp.receive(question);
        byte[] answer = bytes(question.getAddress());
        udp.send(new DatagramPacket(answer, answer.length, question.getSocketAddress()));
      } catch (IOException e) {
        Thread.onSpinWait(); // closed, or one peer went away
      }
    }
  }

  private static byte[] bytes(InetAddress address) {
    return address.getHostAddress().getBytes(StandardCharsets.UTF_8);
  }

  /** The address that a client in the namespace is seen with over TCP; empty without an answer. */
  static Optional<String> tcp(NetNs from, String address, int port) throws IOException {
    return from.<Optional<String>, IOException>call(
        () -> {
          try (var socket = new Socket()) {
            socket.setSoTimeout(PATIENCE_MILLIS);
            socket.connect(to(address, port), PATIENCE_MILLIS);
            byte[] answer = socket.getInputStream().readAllBytes();
            return Optional.of(new String(answer, StandardCharsets.UTF_8))
                .filter(it -> !it.isEmpty());
          } catch (IOException e) {
            return Optional.empty();
          }
        });
  }

  /** The address that a client in the namespace is seen with over UDP; empty without an answer. */
  static Optional<String> udp(NetNs from, String address, int port) throws IOException {
    try (DatagramSocket socket =
        from.<DatagramSocket, IOException>call(() -> new DatagramSocket())) {
      return udp(socket, address, port);
    }
  }

  /** As before, with a client that keeps its port. */
  static Optional<String> udp(DatagramSocket socket, String address, int port) throws IOException {
    socket.setSoTimeout(PATIENCE_MILLIS);
    try {
      byte[] question = {'?'};
      socket.send(new DatagramPacket(question, 1, to(address, port)));
      var answer = new DatagramPacket(new byte[64], 64);
      socket.receive(answer);
      return Optional.of(
          new String(answer.getData(), 0, answer.getLength(), StandardCharsets.UTF_8));
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  private static InetSocketAddress to(String address, int port) {
    return new InetSocketAddress(InetAddress.ofLiteral(address), port);
  }

  @Override
  public void close() throws IOException {
    tcp.close();
    udp.close();
  }
}
