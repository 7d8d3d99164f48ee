// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import java.io.EOFException;
import java.io.IOException;
import java.net.SocketException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** A resident host whose replies a test writes byte by byte. Serves one connection at a time. */
final class FakeHost implements AutoCloseable {
  static final int ACCEPTED = 1;
  static final int REFUSED = 2;
  static final int OUT = 3;
  static final int ERR = 4;
  static final int EXIT = 5;

  /** What {@link Connection#succeed} prints. */
  static final String ANSWER = "answer of the host";

  private static final int HEADER_LENGTH = 88;
  private static final int TIMEOUT_SECONDS = 60;

  /** Replies to a request. Its end closes the connection. */
  @FunctionalInterface
  interface Reply {
    void send(Connection connection) throws Exception;
  }

  /** The number of a device and of a file on it. */
  record FileIdentity(long dev, long ino) {}

  /** A request as it was received. */
  record Request(
      FileIdentity modules,
      long modulesSize,
      long modulesNanos,
      FileIdentity mountNamespace,
      FileIdentity userNamespace,
      int flags,
      String directory,
      List<String> arguments,
      List<String> variables,
      String input) {}

  /** A connection of a launcher. */
  record Connection(SocketChannel channel) {
    /** Reads the request. */
    Request receive() throws IOException {
      ByteBuffer header = read(HEADER_LENGTH);
      int magic = header.getInt();
      ByteBuffer body = read(header.getInt());
      var modules = new FileIdentity(header.getLong(), header.getLong());
      long size = header.getLong();
      long nanos = header.getLong();
      var mountNamespace = new FileIdentity(header.getLong(), header.getLong());
      var userNamespace = new FileIdentity(header.getLong(), header.getLong());
      int arguments = header.getInt();
      int variables = header.getInt();
      int input = header.getInt();
      int flags = header.getInt();
      byte[] expectedMagic = {'C', 'N', 'I', 1};
      if (magic != ByteBuffer.wrap(expectedMagic).order(ByteOrder.nativeOrder()).getInt()) {
        throw new IOException("magic " + Integer.toHexString(magic));
      }
      var request =
          new Request(
              modules,
              size,
              nanos,
              mountNamespace,
              userNamespace,
              flags,
              string(body),
              strings(body, arguments),
              strings(body, variables),
              StandardCharsets.UTF_8.decode(body.slice(body.position(), input)).toString());
      if (body.remaining() != input) {
        throw new IOException(body.remaining() + " bytes of input, not " + input);
      }
      return request;
    }

    private ByteBuffer read(int length) throws IOException {
      ByteBuffer bytes = ByteBuffer.allocate(length).order(ByteOrder.nativeOrder());
      while (bytes.hasRemaining()) {
        if (channel.read(bytes) < 0) {
          throw new EOFException(bytes.position() + " of " + length + " bytes");
        }
      }
      return bytes.flip();
    }

    private static List<String> strings(ByteBuffer body, int count) {
      List<String> strings = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        strings.add(string(body));
      }
      return strings;
    }

    /** Reads a string that ends with NUL. */
    private static String string(ByteBuffer body) {
      int start = body.position();
      while (body.get() != 0) {
        // The next byte is looked at.
      }
      ByteBuffer bytes = body.slice(start, body.position() - 1 - start);
      return StandardCharsets.UTF_8.decode(bytes).toString();
    }

    void write(byte... bytes) throws IOException {
      ByteBuffer all = ByteBuffer.wrap(bytes);
      while (all.hasRemaining()) {
        channel.write(all);
      }
    }

    void frame(int type, byte... payload) throws IOException {
      write(frameOf(type, payload));
    }

    void frame(int type, String payload) throws IOException {
      frame(type, payload.getBytes(StandardCharsets.UTF_8));
    }

    /** Answers that a request has succeeded. */
    void succeed() throws IOException {
      frame(ACCEPTED);
      frame(OUT, ANSWER);
      exit(0);
    }

    void exit(int status) throws IOException {
      frame(EXIT, ByteBuffer.allocate(4).order(ByteOrder.nativeOrder()).putInt(status).array());
    }

    /** Waits for the launcher to close the connection. */
    void awaitEnd() throws IOException {
      try {
        while (channel.read(ByteBuffer.allocate(1)) >= 0) {
          // What the launcher sends is discarded.
        }
      } catch (SocketException e) {
        return; // ECONNRESET: it has ended and not received everything
      }
    }
  }

  private final ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
  private final BlockingQueue<Request> requests = new LinkedBlockingQueue<>();
  private final BlockingQueue<Object> outcomes = new LinkedBlockingQueue<>();

  private FakeHost(Path socket) throws IOException {
    server.bind(UnixDomainSocketAddress.of(socket));
  }

  /** Starts a host that reads each request, then replies to it. */
  static FakeHost serve(Path socket, Reply reply) throws IOException {
    var host = new FakeHost(socket);
    host.start(
        connection -> {
          host.requests.add(connection.receive());
          reply.send(connection);
        });
    return host;
  }

  /** Starts a host that replies to each connection before it reads anything. */
  static FakeHost connect(Path socket, Reply reply) throws IOException {
    var host = new FakeHost(socket);
    host.start(reply);
    return host;
  }

  private void start(Reply reply) {
    Thread.ofPlatform().daemon().start(() -> acceptAll(reply));
  }

  private void acceptAll(Reply reply) {
    while (server.isOpen()) {
      try (SocketChannel channel = server.accept()) {
        Object outcome = "done";
        try {
          reply.send(new Connection(channel));
        } catch (Exception e) {
          outcome = e;
        }
        outcomes.add(outcome);
      } catch (IOException e) {
        return; // the host is closed
      }
    }
  }

  /** Waits for the end of a connection; returns "done" or the exception that the reply threw. */
  Object awaitOutcome() throws InterruptedException {
    Object outcome = outcomes.poll(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    assertNotNull(outcome, "no connection");
    return outcome;
  }

  /** Waits for the end of a connection whose reply has been sent; returns its request. */
  Request awaitRequest() throws InterruptedException {
    assertEquals("done", awaitOutcome());
    return requests.remove();
  }

  /** Returns whether no launcher has connected since the last {@link #awaitOutcome}. */
  boolean isUnused() {
    return outcomes.isEmpty();
  }

  static byte[] frameOf(int type, byte... payload) {
    return ByteBuffer.allocate(8 + payload.length)
        .order(ByteOrder.nativeOrder())
        .putInt(type)
        .putInt(payload.length)
        .put(payload)
        .array();
  }

  @Override
  public void close() throws IOException {
    server.close();
  }
}
