// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/**
 * A server in a namespace that replies to every client with the source address of its packets, over
 * TCP and UDP, IPv4 and IPv6. {@link Probe} is the client.
 */
public final class EchoServer implements AutoCloseable {
  private static final int BACKLOG = 50;

  private final ServerSocket tcp;
  private final DatagramSocket udp;
  private final Thread tcpServer;
  private final Thread udpServer;

  private EchoServer(ServerSocket tcp, DatagramSocket udp) {
    this.tcp = tcp;
    this.udp = udp;
    tcpServer = Thread.ofVirtual().unstarted(this::serveTcp);
    udpServer = Thread.ofPlatform().daemon().unstarted(this::serveUdp);
    tcpServer.start();
    udpServer.start();
  }

  /**
   * Starts a server.
   *
   * @param port the port of both protocols
   * @throws IOException if the port is in use or the namespace cannot be entered
   */
  public static EchoServer start(NetNs netns, int port) throws IOException {
    return netns.<EchoServer, IOException>call(
        () -> new EchoServer(new ServerSocket(port), new DatagramSocket(port)));
  }

  /**
   * Starts a server that listens on one address only, so that its datagrams have it as their source
   * on a machine with several addresses.
   *
   * @param port the port of both protocols
   * @throws IOException if the port is in use or the namespace cannot be entered
   */
  public static EchoServer start(NetNs netns, InetAddress address, int port) throws IOException {
    return netns.<EchoServer, IOException>call(
        () ->
            new EchoServer(
                new ServerSocket(port, BACKLOG, address), new DatagramSocket(port, address)));
  }

  private void serveTcp() {
    while (!tcp.isClosed()) {
      try (Socket client = tcp.accept()) {
        client.getOutputStream().write(addressBytes(client.getInetAddress()));
      } catch (IOException e) {
        Thread.onSpinWait(); // closed, or the client is gone
      }
    }
  }

  private void serveUdp() {
    byte[] buffer = new byte[64];
    while (!udp.isClosed()) {
      try {
        var request = new DatagramPacket(buffer, buffer.length);
        udp.receive(request);
        byte[] reply = addressBytes(request.getAddress());
        udp.send(new DatagramPacket(reply, reply.length, request.getSocketAddress()));
      } catch (IOException e) {
        Thread.onSpinWait(); // closed, or the client is gone
      }
    }
  }

  private static byte[] addressBytes(InetAddress address) {
    return address.getHostAddress().getBytes(StandardCharsets.UTF_8);
  }

  /**
   * Stops the server: the kernel refuses connections after this has returned.
   *
   * @throws IOException if a socket cannot be closed, or the thread is interrupted
   */
  @Override
  public void close() throws IOException {
    tcp.close();
    udp.close();
    // A socket stays open until the thread that waits on it has noticed.
    try {
      tcpServer.join();
      udpServer.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while the server stops");
    }
  }
}
