// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Reads the parts that all rtnetlink messages have in common. */
final class RouteMessages {
  private RouteMessages() {}

  /**
   * Reads the attributes that follow the fixed structure.
   *
   * @param structureLength the length of the structure in bytes, a multiple of 4
   * @throws MalformedMessageException if the message is shorter or a length in it is inconsistent
   */
  static Attributes attributes(ByteBuffer message, int structureLength)
      throws MalformedMessageException {
    if (message.limit() < structureLength) {
      throw new MalformedMessageException(
          "a message of " + message.limit() + " bytes, shorter than its structure");
    }
    return Attributes.read(
        message.slice(structureLength, message.limit() - structureLength).order(message.order()));
  }

  static <T> List<T> readAll(List<ByteBuffer> messages, MessageReader<T> reader)
      throws MalformedMessageException {
    List<T> values = new ArrayList<>(messages.size());
    for (ByteBuffer message : messages) {
      values.add(reader.read(message));
    }
    return values;
  }

  /** Reads an attribute that holds an IPv4 or IPv6 address; empty if it is absent. */
  static Optional<InetAddress> address(Attributes attributes, int attribute)
      throws MalformedMessageException {
    Optional<byte[]> bytes = attributes.bytes(attribute);
    return bytes.isEmpty() ? Optional.empty() : Optional.of(address(bytes.get()));
  }

  /** Returns the address of 4 or 16 bytes. 16 bytes stay IPv6, even when IPv4-mapped. */
  static InetAddress address(byte[] bytes) throws MalformedMessageException {
    try {
      return bytes.length == 16
          ? Inet6Address.getByAddress(null, bytes, -1)
          : InetAddress.getByAddress(bytes);
    } catch (UnknownHostException e) {
      throw new MalformedMessageException("an address of " + bytes.length + " bytes");
    }
  }

  interface MessageReader<T> {
    T read(ByteBuffer message) throws MalformedMessageException;
  }
}
