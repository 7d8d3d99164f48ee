// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import cni.netlink.ffm.unix.ReceivedDescriptor;
import cni.netlink.ffm.unix.UnixConnection;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.ProtocolException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Collects a request from what a connection receives. Memory grows with what has arrived, not with
 * the lengths that the header announces.
 */
final class RequestReader implements AutoCloseable {
  private byte[] bytes = new byte[4096];
  private int length;
  private boolean tooLarge;
  private final List<ReceivedDescriptor> descriptors = new ArrayList<>();

  /**
   * Receives what is there.
   *
   * @param buffer native memory for the duration of the call
   * @return whether the request is complete, or {@link #isTooLarge}
   * @throws IOException if the connection has ended, or sends something else than a request
   */
  boolean receive(UnixConnection connection, MemorySegment buffer) throws IOException {
    while (true) {
      UnixConnection.Received received = connection.receive(buffer, HostProtocol.MAX_DESCRIPTORS);
      descriptors.addAll(received.descriptors());
      if (received.length() < 0) {
        return false;
      }
      if (received.length() == 0) {
        throw new ProtocolException("the connection ended before the request was complete");
      }
      if (descriptors.size() > HostProtocol.MAX_DESCRIPTORS) {
        throw new ProtocolException("too many descriptors");
      }
      append(buffer.asSlice(0, received.length()));
      if (length >= HostProtocol.HEADER_LENGTH) {
        long body = bodyLength();
        tooLarge = body > HostProtocol.MAX_BODY;
        if (tooLarge) {
          return true;
        }
        long missing = HostProtocol.HEADER_LENGTH + body - length;
        if (missing < 0) {
          throw new ProtocolException("there is something after the request");
        }
        if (missing == 0) {
          return true;
        }
      }
    }
  }

  /** Returns whether the header announces more than is received. */
  boolean isTooLarge() {
    return tooLarge;
  }

  /** Returns how many bytes have been received. */
  int length() {
    return length;
  }

  private void append(MemorySegment received) {
    int size = (int) received.byteSize();
    if (length + size > bytes.length) {
      bytes = Arrays.copyOf(bytes, Math.max(2 * bytes.length, length + size));
    }
    MemorySegment.copy(received, ValueLayout.JAVA_BYTE, 0, bytes, length, size);
    length += size;
  }

  private ByteBuffer header() {
    return ByteBuffer.wrap(bytes, 0, HostProtocol.HEADER_LENGTH).order(ByteOrder.nativeOrder());
  }

  private long bodyLength() throws ProtocolException {
    ByteBuffer header = header();
    if (header.getInt() != HostProtocol.MAGIC) {
      throw new ProtocolException("not a request of this protocol version");
    }
    return Integer.toUnsignedLong(header.getInt());
  }

  /**
   * Returns the complete request.
   *
   * @param hostNamespace the network namespace of this process
   * @throws IOException if its parts do not add up, or a namespace's descriptor is missing
   */
  ReceivedRequest request(FileIdentity hostNamespace) throws IOException {
    ByteBuffer header = header().position(8);
    var image = new ImageIdentity(identity(header), header.getLong(), header.getLong());
    FileIdentity mountNamespace = identity(header);
    FileIdentity userNamespace = identity(header);
    int argumentCount = header.getInt();
    int variableCount = header.getInt();
    int inputLength = header.getInt();
    boolean hasContainer = (header.getInt() & HostProtocol.FLAG_CONTAINER_NAMESPACE) != 0;
    if (descriptors.size() != (hasContainer ? 2 : 1)) {
      throw new ProtocolException("a descriptor is missing");
    }
    var body = new Body();
    Path directory = path(body.text());
    List<String> arguments = body.texts(argumentCount);
    if (arguments.isEmpty()) {
      throw new ProtocolException("no arguments");
    }
    Map<String, String> environment = environment(body.texts(variableCount));
    InputStream input = new ByteArrayInputStream(body.rest(inputLength));
    bytes = new byte[0];
    Path own = descriptors.getFirst().path();
    boolean isHosts = FileIdentity.of(own).equals(hostNamespace);
    return new ReceivedRequest(
        new CallerRequest(
            arguments,
            environment,
            directory,
            input,
            isHosts ? Optional.empty() : Optional.of(own)),
        image,
        mountNamespace,
        userNamespace,
        hasContainer ? Optional.of(FileIdentity.of(descriptors.get(1).path())) : Optional.empty());
  }

  private static FileIdentity identity(ByteBuffer header) {
    return new FileIdentity(header.getLong(), header.getLong());
  }

  private static Path path(String text) throws ProtocolException {
    try {
      return Path.of(text);
    } catch (InvalidPathException e) {
      throw new ProtocolException("the working directory: " + e.getMessage());
    }
  }

  private static Map<String, String> environment(List<String> variables) {
    Map<String, String> environment = new TreeMap<>();
    for (String variable : variables) {
      int equals = variable.indexOf('=');
      if (equals > 0) {
        environment.putIfAbsent(variable.substring(0, equals), variable.substring(equals + 1));
      }
    }
    return environment;
  }

  /** Closes the descriptors. */
  @Override
  public void close() {
    descriptors.forEach(ReceivedDescriptor::close);
  }

  /** The parts of the body, in their order. */
  private final class Body {
    private int position = HostProtocol.HEADER_LENGTH;

    String text() throws IOException {
      int end = position;
      while (end < length && bytes[end] != 0) {
        end++;
      }
      if (end == length) {
        throw new ProtocolException("a text does not end");
      }
      // What is not UTF-8 would reach executables changed.
      ByteBuffer encoded = ByteBuffer.wrap(bytes, position, end - position);
      position = end + 1;
      return StandardCharsets.UTF_8.newDecoder().decode(encoded).toString();
    }

    List<String> texts(int count) throws IOException {
      if (count < 0 || count > length - position) {
        throw new ProtocolException("more texts than bytes");
      }
      List<String> texts = new ArrayList<>(count);
      for (int i = 0; i < count; i++) {
        texts.add(text());
      }
      return texts;
    }

    byte[] rest(int announced) throws ProtocolException {
      if (announced != length - position) {
        throw new ProtocolException("the parts of the body do not add up");
      }
      return Arrays.copyOfRange(bytes, position, length);
    }
  }
}
