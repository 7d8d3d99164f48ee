package cni.netlink.ffm.route;

import cni.netlink.ffm.Attributes;
import cni.netlink.ffm.MalformedMessageException;
import java.net.Inet4Address;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** What reading any message of this family takes. */
final class RouteMessages {
  private RouteMessages() {}

  /** The attributes that follow the fixed structure. */
  static Attributes attributes(ByteBuffer message, int structure) throws MalformedMessageException {
    if (message.limit() < structure) {
      throw new MalformedMessageException("a structure of " + message.limit() + " bytes");
    }
    return Attributes.read(
        message.slice(structure, message.limit() - structure).order(message.order()));
  }

  static <T> List<T> readAll(List<ByteBuffer> messages, Reader<T> reader)
      throws MalformedMessageException {
    List<T> values = new ArrayList<>(messages.size());
    for (ByteBuffer message : messages) {
      values.add(reader.read(message));
    }
    return values;
  }

  static InetAddress address(byte[] bytes) throws MalformedMessageException {
    try {
      return bytes.length == 16
          ? Inet6Address.getByAddress(null, bytes, -1)
          : InetAddress.getByAddress(bytes);
    } catch (UnknownHostException e) {
      throw new MalformedMessageException("an address of " + bytes.length + " bytes");
    }
  }

  static int family(InetAddress address) {
    return address instanceof Inet4Address
        ? RtnetlinkConstants.AF_INET
        : RtnetlinkConstants.AF_INET6;
  }

  interface Reader<T> {
    T read(ByteBuffer message) throws MalformedMessageException;
  }
}
