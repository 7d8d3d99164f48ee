// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Forwards connections to a member of etcd, and can cut or stall them: a client then does not know
 * whether a request was performed.
 */
final class ConnectionProxy implements AutoCloseable {
  private static final int BUFFER_BYTES = 16_384;
  private static final Duration CLOSE_DELAY = Duration.ofMillis(500);

  private final ServerSocket server;
  private final InetSocketAddress target;
  private final Set<Socket> open = ConcurrentHashMap.newKeySet();

  /** Guarded by this. */
  private boolean isStalled;

  /** Guarded by this. */
  private boolean isHoldingAnswers;

  /**
   * Starts a proxy on a free port of 127.0.0.1.
   *
   * @param endpoint the URL of the member
   */
  ConnectionProxy(String endpoint) throws IOException {
    URI uri = URI.create(endpoint);
    target = new InetSocketAddress(uri.getHost(), uri.getPort());
    server = new ServerSocket(0, 128, InetAddress.getLoopbackAddress());
    Thread.ofVirtual().name("proxy").start(this::accept);
  }

  /** Returns the URL for clients. */
  String endpoint() {
    return "http://127.0.0.1:" + server.getLocalPort();
  }

  /** Resets all connections. */
  void cut() {
    for (Socket socket : open) {
      reset(socket);
    }
  }

  /** Holds back what arrives from clients, or forwards it from now on. */
  synchronized void setStalled(boolean value) {
    isStalled = value;
    notifyAll();
  }

  /** Holds back what arrives from the member, or forwards it from now on. */
  synchronized void setHoldingAnswers(boolean value) {
    isHoldingAnswers = value;
    notifyAll();
  }

  private synchronized void awaitForwarding(boolean isRequest) throws InterruptedException {
    while (isRequest ? isStalled : isHoldingAnswers) {
      wait();
    }
  }

  private void accept() {
    while (!server.isClosed()) {
      try {
        Socket client = server.accept();
        open.add(client);
        Thread.ofVirtual().name("proxy connection").start(() -> connect(client));
      } catch (IOException e) {
        return; // closed
      }
    }
  }

  private void connect(Socket client) {
    Socket member = new Socket();
    open.add(member);
    try {
      client.setTcpNoDelay(true);
      member.setTcpNoDelay(true);
      member.connect(target);
      Thread.ofVirtual().name("proxy response").start(() -> forward(member, client, false));
      forward(client, member, true);
    } catch (IOException e) {
      reset(client);
      reset(member);
    }
  }

  private void forward(Socket from, Socket to, boolean isRequest) {
    var buffer = new byte[BUFFER_BYTES];
    try {
      InputStream in = from.getInputStream();
      OutputStream out = to.getOutputStream();
      for (int count = in.read(buffer); count > 0; count = in.read(buffer)) {
        awaitForwarding(isRequest);
        out.write(buffer, 0, count);
      }
      if (isRequest) {
        Thread.sleep(CLOSE_DELAY); // the member performs the request of a client that has given up
      }
    } catch (IOException e) {
      // Both are reset below, as they are at the end of a stream.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      reset(from);
      reset(to);
    }
  }

  private void reset(Socket socket) {
    open.remove(socket);
    try {
      socket.setSoLinger(true, 0);
      socket.close();
    } catch (IOException e) {
      // It is closed already.
    }
  }

  @Override
  public void close() throws IOException {
    server.close();
    cut();
  }
}
