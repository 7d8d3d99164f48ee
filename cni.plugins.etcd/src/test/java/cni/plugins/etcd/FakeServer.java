// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/** A server on 127.0.0.1 that is not etcd: it handles each connection as a test says. */
final class FakeServer implements AutoCloseable {
  private final ServerSocket server = new ServerSocket(0, 50, InetAddress.ofLiteral("127.0.0.1"));
  private final Set<Socket> open = ConcurrentHashMap.newKeySet();
  private final AtomicInteger connections = new AtomicInteger();
  private final Handler handler;

  /** Handles a connection, which is closed afterwards. */
  interface Handler {
    void handle(Socket connection) throws IOException, InterruptedException;
  }

  FakeServer(Handler handler) throws IOException {
    this.handler = handler;
    Thread.ofVirtual().start(this::accept);
  }

  /** Returns a server that never answers. */
  static FakeServer silent() throws IOException {
    return new FakeServer(connection -> Thread.sleep(Long.MAX_VALUE));
  }

  /** Returns a server that gives every request the same answer, whatever it is. */
  static FakeServer answering(String answer) throws IOException {
    return new FakeServer(
        connection -> {
          readRequest(connection.getInputStream());
          connection.getOutputStream().write(answer.getBytes(StandardCharsets.ISO_8859_1));
        });
  }

  /** Returns a server that gives every request an answer of HTTP with the status 200. */
  static FakeServer answeringJson(String body) throws IOException {
    return answering(http("200 OK", body));
  }

  static String http(String status, String body) {
    return "HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
        .formatted(status, body.length(), body);
  }

  /** Reads a request, whose body has a length. */
  static String readRequest(InputStream in) throws IOException {
    var head = new StringBuilder();
    while (head.indexOf("\r\n\r\n") < 0) {
      int c = in.read();
      if (c < 0) {
        return head.toString();
      }
      head.append((char) c);
    }
    for (String line : head.toString().lines().toList()) {
      if (line.regionMatches(true, 0, "Content-Length:", 0, 15)) {
        byte[] body = in.readNBytes(Integer.parseInt(line.substring(15).strip()));
        head.append(new String(body, StandardCharsets.UTF_8));
      }
    }
    return head.toString();
  }

  private void accept() {
    try {
      while (true) {
        Socket connection = server.accept();
        connections.incrementAndGet();
        open.add(connection);
        Thread.ofVirtual().start(() -> handle(connection));
      }
    } catch (IOException e) {
      // The server has been closed.
    }
  }

  private void handle(Socket connection) {
    try (connection) {
      handler.handle(connection);
    } catch (IOException | InterruptedException e) {
      // The client or the test has ended the connection.
    }
    open.remove(connection);
  }

  String url() {
    return "http://127.0.0.1:" + server.getLocalPort();
  }

  /** Returns the number of connections so far. */
  int connections() {
    return connections.get();
  }

  @Override
  public void close() throws IOException {
    server.close();
    for (Socket connection : open) {
      connection.close();
    }
  }
}
