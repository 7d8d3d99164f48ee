// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import cni.daemon.HostProtocol.Frame;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.unix.UnixConnection;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.ProtocolException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** A caller of the host that is written in Java. */
public final class HostClient {
  private static final int BUFFER = 64 << 10;

  private HostClient() {}

  /**
   * What the host replied.
   *
   * @param refusal why the host does not serve the request; empty if it has served it
   * @param status the exit status
   * @param out the bytes for standard output
   * @param err the bytes for standard error
   */
  public record Reply(String refusal, int status, String out, String err) {}

  /**
   * Makes a request, from the network namespace of this process.
   *
   * @param socket the host's socket
   * @param image the image of this process; the host refuses another one than its own
   * @param arguments the name of the plugin or the command, and its arguments
   * @param environment the environment that the request has
   * @param input what a plugin reads from standard input
   * @param timeout how long to wait for each part of the reply
   * @throws IOException if there is no host, or it ends before it has replied
   */
  public static Reply call(
      Path socket,
      Path image,
      List<String> arguments,
      Map<String, String> environment,
      byte[] input,
      Duration timeout)
      throws IOException {
    CallerCheck own = CallerCheck.ofImage(image);
    byte[] request = request(own, arguments, environment, input);
    try (UnixConnection connection = UnixConnection.connect(socket);
        NetNs netns = NetNs.current()) {
      connection.send(request, List.of(netns.fd()), timeout);
      return new ReplyReader(connection, timeout).read();
    }
  }

  /**
   * Asks a host for its status, whatever build it is of.
   *
   * @param image the image of this process
   * @param version the version of this process's build
   * @param format text or json
   * @throws IOException if there is no host, or it ends before it has replied
   */
  public static Reply status(
      Path socket, Path image, String version, String format, Duration timeout) throws IOException {
    return call(
        socket,
        image,
        CallerRequest.statusArguments(format),
        CallerRequest.statusEnvironment(version),
        new byte[0],
        timeout);
  }

  private static byte[] request(
      CallerCheck own, List<String> arguments, Map<String, String> environment, byte[] input) {
    var body = new ByteArrayOutputStream();
    append(body, Path.of("").toAbsolutePath().toString());
    arguments.forEach(argument -> append(body, argument));
    environment.forEach((name, value) -> append(body, name + "=" + value));
    body.writeBytes(input);
    ByteBuffer request =
        ByteBuffer.allocate(HostProtocol.HEADER_LENGTH + body.size())
            .order(ByteOrder.nativeOrder());
    request.putInt(HostProtocol.MAGIC).putInt(body.size());
    put(request, own.image().file());
    request.putLong(own.image().size()).putLong(own.image().modified());
    put(request, own.mountNamespace());
    put(request, own.userNamespace());
    request.putInt(arguments.size()).putInt(environment.size()).putInt(input.length).putInt(0);
    return request.put(body.toByteArray()).array();
  }

  private static void append(ByteArrayOutputStream body, String text) {
    body.writeBytes(text.getBytes(StandardCharsets.UTF_8));
    body.write(0);
  }

  private static void put(ByteBuffer request, FileIdentity file) {
    request.putLong(file.device()).putLong(file.inode());
  }

  /** Reads frames until the last one. */
  private static final class ReplyReader {
    private final UnixConnection connection;
    private final Duration timeout;
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();
    private byte[] received = new byte[0];

    ReplyReader(UnixConnection connection, Duration timeout) {
      this.connection = connection;
      this.timeout = timeout;
    }

    Reply read() throws IOException {
      while (true) {
        ByteBuffer header = ByteBuffer.wrap(next(8)).order(ByteOrder.nativeOrder());
        Frame type = frame(header.getInt());
        byte[] payload = next(header.getInt());
        switch (type) {
          case ACCEPTED -> {}
          case OUT -> out.writeBytes(payload);
          case ERR -> err.writeBytes(payload);
          case REFUSED -> {
            return new Reply(new String(payload, StandardCharsets.UTF_8), 1, "", "");
          }
          case EXIT -> {
            return new Reply(
                "",
                ByteBuffer.wrap(payload).order(ByteOrder.nativeOrder()).getInt(),
                out.toString(StandardCharsets.UTF_8),
                err.toString(StandardCharsets.UTF_8));
          }
        }
      }
    }

    private static Frame frame(int type) throws ProtocolException {
      try {
        return Frame.of(type);
      } catch (IllegalArgumentException e) {
        throw new ProtocolException(e.getMessage());
      }
    }

    /** Returns the next bytes of the reply, however they arrive. */
    private byte[] next(int length) throws IOException {
      if (length < 0 || length > HostProtocol.MAX_FRAME) {
        throw new ProtocolException("a frame of " + Integer.toUnsignedString(length) + " bytes");
      }
      while (received.length < length) {
        receive();
      }
      byte[] next = Arrays.copyOf(received, length);
      received = Arrays.copyOfRange(received, length, received.length);
      return next;
    }

    private void receive() throws KernelException, ProtocolException {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment buffer = arena.allocate(BUFFER);
        int length = connection.receive(buffer, 0).length();
        if (length == 0) {
          throw new ProtocolException("the host ended before it had replied");
        }
        if (length < 0) {
          connection.awaitReadable(timeout);
          return;
        }
        byte[] more = buffer.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE);
        byte[] all = Arrays.copyOf(received, received.length + more.length);
        System.arraycopy(more, 0, all, received.length, more.length);
        received = all;
      }
    }
  }
}
