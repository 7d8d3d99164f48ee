// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.firewall;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/**
 * A connection to the D-Bus system bus, for calling methods whose arguments are strings (D-Bus
 * specification, sections "Authentication Protocol" and "Message Protocol").
 */
final class DbusConnection implements AutoCloseable {
  private static final String BUS_NAME = "org.freedesktop.DBus";
  private static final String BUS_PATH = "/org/freedesktop/DBus";
  private static final Duration REPLY_TIMEOUT = Duration.ofSeconds(25);
  private static final int MAX_MESSAGE_BYTES = 1 << 20;

  // message types
  private static final int METHOD_CALL = 1;
  private static final int ERROR = 3;

  // header fields
  private static final int PATH = 1;
  private static final int INTERFACE = 2;
  private static final int MEMBER = 3;
  private static final int ERROR_NAME = 4;
  private static final int REPLY_SERIAL = 5;
  private static final int DESTINATION = 6;
  private static final int SIGNATURE = 8;

  private final SocketChannel channel;
  private final Selector selector;
  private int serial;

  private DbusConnection(SocketChannel channel, Selector selector) {
    this.channel = channel;
    this.selector = selector;
  }

  /** An ERROR message in reply to a call; the exception's message has the error's name and text. */
  static final class ErrorReplyException extends IOException {
    private static final long serialVersionUID = 1L;

    ErrorReplyException(String message) {
      super(message);
    }
  }

  /**
   * A METHOD_RETURN message.
   *
   * @param signature the types of the values
   * @param body the marshalled values
   */
  private record Reply(String signature, ByteBuffer body) {}

  /**
   * Connects, authenticates as this process's user and registers with the bus.
   *
   * @param socket the bus's Unix socket, usually /run/dbus/system_bus_socket
   * @throws IOException if the bus cannot be reached or refuses the connection
   */
  static DbusConnection connect(Path socket) throws IOException {
    SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
    var bus = new DbusConnection(channel, Selector.open());
    try {
      channel.connect(UnixDomainSocketAddress.of(socket));
      channel.configureBlocking(false);
      channel.register(bus.selector, SelectionKey.OP_READ);
      bus.authenticate();
      bus.call(BUS_NAME, BUS_PATH, BUS_NAME, "Hello");
      return bus;
    } catch (IOException | RuntimeException e) {
      bus.close();
      throw e;
    }
  }

  private void authenticate() throws IOException {
    String uid = String.valueOf(Files.getAttribute(Path.of("/proc/self"), "unix:uid"));
    String hex = HexFormat.of().formatHex(uid.getBytes(StandardCharsets.US_ASCII));
    write(ascii("\0AUTH EXTERNAL " + hex + "\r\n"));
    var line = new StringBuilder();
    while (!line.toString().endsWith("\r\n")) {
      line.append((char) read(1).get());
    }
    if (!line.toString().startsWith("OK ")) {
      throw new IOException("the message bus refuses authentication: " + line.toString().strip());
    }
    write(ascii("BEGIN\r\n"));
  }

  /**
   * Whether a bus name has an owner, which means that its service is running.
   *
   * @throws IOException if the bus does not reply
   */
  boolean hasOwner(String name) throws IOException {
    return isTrue(call(BUS_NAME, BUS_PATH, BUS_NAME, "NameHasOwner", name));
  }

  /**
   * Calls a method.
   *
   * @return false if the method returned the boolean false, otherwise true
   * @throws ErrorReplyException if the method replied with an error
   * @throws IOException if there was no reply
   */
  boolean invoke(
      String destination,
      String objectPath,
      String interfaceName,
      String method,
      String... arguments)
      throws IOException {
    Reply reply = call(destination, objectPath, interfaceName, method, arguments);
    return !reply.signature().equals("b") || isTrue(reply);
  }

  private static boolean isTrue(Reply reply) {
    return reply.body().limit() >= 4 && reply.body().getInt(0) != 0;
  }

  private Reply call(
      String destination,
      String objectPath,
      String interfaceName,
      String method,
      String... arguments)
      throws IOException {
    var body = new Marshaller();
    for (String argument : arguments) {
      body.string(argument);
    }
    var fields = new Marshaller();
    fields.field(PATH, "o", objectPath).field(INTERFACE, "s", interfaceName);
    fields.field(MEMBER, "s", method).field(DESTINATION, "s", destination);
    if (arguments.length > 0) {
      fields.field(SIGNATURE, "g", "s".repeat(arguments.length));
    }
    var message = new Marshaller();
    message.bytes('l', METHOD_CALL, 0, 1).uint32(body.size()).uint32(++serial);
    message.uint32(fields.size()).append(fields).align(8).append(body);
    write(message.toBuffer());
    while (true) {
      Reply reply = receiveReply(method);
      if (reply != null) {
        return reply;
      }
    }
  }

  /** Receives a message; returns null if it is not the reply to the last call. */
  private @Nullable Reply receiveReply(String method) throws IOException {
    ByteBuffer header = read(16);
    header.order(header.get(0) == 'l' ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
    int type = header.get(1);
    int bodyLength = header.getInt(4);
    int fieldsLength = header.getInt(12);
    if (bodyLength < 0
        || fieldsLength < 0
        || bodyLength > MAX_MESSAGE_BYTES
        || fieldsLength > MAX_MESSAGE_BYTES) {
      throw new IOException("a message of the bus is longer than " + MAX_MESSAGE_BYTES + " bytes");
    }
    ByteBuffer fields = read((fieldsLength + 7) / 8 * 8).order(header.order());
    ByteBuffer body = read(bodyLength).order(header.order());
    fields.limit(fieldsLength);
    try {
      return parseReply(type, fields, body, method);
    } catch (BufferUnderflowException
        | IllegalArgumentException
        | IndexOutOfBoundsException
        | NegativeArraySizeException e) {
      throw new IOException("a message of the bus is malformed", e);
    }
  }

  private @Nullable Reply parseReply(int type, ByteBuffer fields, ByteBuffer body, String method)
      throws ErrorReplyException {
    String signature = "";
    String error = "";
    int replyTo = 0;
    while (fields.hasRemaining()) {
      fields.position((fields.position() + 7) / 8 * 8);
      int field = fields.get();
      fields.position(
          fields.position() + 2); // the length of a signature, and the signature: one type
      char kind = (char) fields.get(fields.position() - 1);
      fields.get(); // its terminating zero
      switch (kind) {
        case 'g' ->
            signature =
                field == SIGNATURE ? readString(fields, fields.get()) : readString(fields, 0);
        case 'u' -> {
          fields.position((fields.position() + 3) / 4 * 4);
          int number = fields.getInt();
          replyTo = field == REPLY_SERIAL ? number : replyTo;
        }
        default -> {
          fields.position((fields.position() + 3) / 4 * 4);
          String value = readString(fields, fields.getInt());
          error = field == ERROR_NAME ? value : error;
        }
      }
    }
    if (replyTo != serial) {
      return null;
    }
    if (type == ERROR) {
      String text = signature.startsWith("s") ? ": " + readString(body, body.getInt()) : "";
      throw new ErrorReplyException(method + ": " + error + text);
    }
    return new Reply(signature, body);
  }

  private static String readString(ByteBuffer buffer, int length) {
    byte[] bytes = new byte[Math.min(length, buffer.remaining())];
    buffer.get(bytes);
    buffer.get(); // the terminating zero
    return new String(bytes, StandardCharsets.UTF_8);
  }

  private static ByteBuffer ascii(String text) {
    return ByteBuffer.wrap(text.getBytes(StandardCharsets.US_ASCII));
  }

  private void write(ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes); // does not spin: messages are far smaller than the socket's buffer
    }
  }

  private ByteBuffer read(int length) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(length);
    while (bytes.hasRemaining()) {
      int count = channel.read(bytes);
      if (count < 0) {
        throw new IOException("the message bus has closed the connection");
      }
      if (count == 0 && selector.select(REPLY_TIMEOUT.toMillis()) == 0) {
        throw new IOException(
            "the message bus does not reply within " + REPLY_TIMEOUT.toSeconds() + " seconds");
      }
      selector.selectedKeys().clear();
    }
    return bytes.flip();
  }

  @Override
  public void close() throws IOException {
    selector.close();
    channel.close();
  }

  /** Marshals values in little-endian order, each aligned to its size. */
  private static final class Marshaller {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    int size() {
      return bytes.size();
    }

    ByteBuffer toBuffer() {
      return ByteBuffer.wrap(bytes.toByteArray());
    }

    Marshaller align(int boundary) {
      while (bytes.size() % boundary != 0) {
        bytes.write(0);
      }
      return this;
    }

    Marshaller bytes(int... values) {
      for (int value : values) {
        bytes.write(value);
      }
      return this;
    }

    Marshaller uint32(int value) {
      align(4);
      return bytes(value, value >>> 8, value >>> 16, value >>> 24);
    }

    Marshaller append(Marshaller other) {
      bytes.writeBytes(other.bytes.toByteArray());
      return this;
    }

    Marshaller string(String value) {
      byte[] text = value.getBytes(StandardCharsets.UTF_8);
      uint32(text.length);
      bytes.writeBytes(text);
      return bytes(0);
    }

    /** Appends a header field: a struct of a byte and a variant. */
    Marshaller field(int code, String kind, String value) {
      align(8).bytes(code, 1, kind.charAt(0), 0);
      if (!kind.equals("g")) {
        return string(value);
      }
      bytes.write(value.length());
      bytes.writeBytes(value.getBytes(StandardCharsets.US_ASCII));
      return bytes(0);
    }
  }
}
