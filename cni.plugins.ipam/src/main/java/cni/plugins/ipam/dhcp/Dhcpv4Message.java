// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.InetAddresses;
import cni.netlink.ffm.route.Mac;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A message of DHCP for IPv4 (RFC 2131, section 2; options RFC 2132).
 *
 * @param isReply whether a server sent it (BOOTREPLY)
 * @param xid the transaction id
 * @param secs seconds since the client began to acquire or renew
 * @param broadcast whether the reply must be broadcast
 * @param clientAddress the address that the client has configured (ciaddr), or 0.0.0.0
 * @param yourAddress the address that the server grants (yiaddr), or 0.0.0.0
 * @param mac the client's hardware address, lower case with colons
 * @param options the options, by number
 */
record Dhcpv4Message(
    boolean isReply,
    int xid,
    int secs,
    boolean broadcast,
    InetAddress clientAddress,
    InetAddress yourAddress,
    String mac,
    Map<Integer, byte[]> options) {
  static final int CLIENT_PORT = 68;
  static final int SERVER_PORT = 67;

  static final int DISCOVER = 1;
  static final int OFFER = 2;
  static final int REQUEST = 3;
  static final int ACK = 5;
  static final int NAK = 6;
  static final int RELEASE = 7;

  static final int REQUESTED_ADDRESS = 50;
  static final int LEASE_TIME = 51;
  static final int MESSAGE_TYPE = 53;
  static final int SERVER_IDENTIFIER = 54;
  static final int PARAMETER_REQUEST_LIST = 55;
  static final int MESSAGE = 56;
  static final int MAX_MESSAGE_SIZE = 57;
  static final int RENEWAL_TIME = 58;
  static final int REBINDING_TIME = 59;

  static final InetAddress UNSPECIFIED = InetAddresses.of(new byte[4]);

  private static final int OVERLOAD = 52;
  private static final int PAD = 0;
  private static final int END = 255;
  private static final int MAGIC_COOKIE = 0x63825363;

  // Offsets of the fields.
  private static final int YIADDR = 16;
  private static final int CHADDR = 28;
  private static final int SNAME = 44;
  private static final int FILE = 108;
  private static final int OPTIONS = 240;

  /** Shorter messages are padded to the size of a BOOTP message (RFC 951), as relays expect. */
  private static final int MIN_BOOTP_MESSAGE = 300;

  private static final int MAX_OPTION_LENGTH = 255;
  private static final int BROADCAST_FLAG = 0x8000;
  private static final int MAC_LENGTH = 6;

  /** Encodes the message. */
  byte[] encode() {
    int size = OPTIONS + 1;
    for (byte[] value : options.values()) {
      size += value.length + 2 * (1 + value.length / MAX_OPTION_LENGTH);
    }
    ByteBuffer out = ByteBuffer.allocate(Math.max(MIN_BOOTP_MESSAGE, size));
    out.put((byte) (isReply ? 2 : 1)).put((byte) 1).put((byte) MAC_LENGTH).put((byte) 0);
    out.putInt(xid)
        .putShort((short) Math.min(secs, 0xffff))
        .putShort((short) (broadcast ? BROADCAST_FLAG : 0));
    out.put(clientAddress.getAddress()).put(yourAddress.getAddress());
    out.position(CHADDR).put(Mac.parse(mac));
    out.position(OPTIONS - 4).putInt(MAGIC_COOKIE);
    options.forEach(
        (option, value) -> {
          for (int at = 0; at == 0 || at < value.length; at += MAX_OPTION_LENGTH) {
            int length = Math.min(MAX_OPTION_LENGTH, value.length - at);
            out.put((byte) (int) option).put((byte) length).put(value, at, length);
          }
        });
    out.put((byte) END);
    return out.array();
  }

  /** Decodes a message; absent if the bytes are not a DHCP message. */
  static Optional<Dhcpv4Message> decode(ByteBuffer in) {
    if (in.remaining() < OPTIONS) {
      return Optional.empty();
    }
    ByteBuffer message = in.slice();
    if (message.getInt(OPTIONS - 4) != MAGIC_COOKIE || message.get(2) != MAC_LENGTH) {
      return Optional.empty();
    }
    Map<Integer, byte[]> options = new LinkedHashMap<>();
    readOptions(message.slice(OPTIONS, message.remaining() - OPTIONS), options);
    byte[] overload = options.getOrDefault(OVERLOAD, new byte[1]);
    int overloaded = overload.length == 1 ? overload[0] : 0;
    if ((overloaded & 1) != 0) {
      readOptions(message.slice(FILE, OPTIONS - 4 - FILE), options);
    }
    if ((overloaded & 2) != 0) {
      readOptions(message.slice(SNAME, FILE - SNAME), options);
    }
    return Optional.of(
        new Dhcpv4Message(
            message.get(0) == 2,
            message.getInt(4),
            Short.toUnsignedInt(message.getShort(8)),
            (message.getShort(10) & BROADCAST_FLAG) != 0,
            InetAddresses.of(bytes(message, YIADDR - 4, 4)),
            InetAddresses.of(bytes(message, YIADDR, 4)),
            Mac.format(bytes(message, CHADDR, MAC_LENGTH)),
            options));
  }

  private static byte[] bytes(ByteBuffer from, int at, int length) {
    byte[] bytes = new byte[length];
    from.get(at, bytes);
    return bytes;
  }

  /** Joins the values of a repeated option (RFC 3396); a truncated option is ignored. */
  private static void readOptions(ByteBuffer in, Map<Integer, byte[]> options) {
    while (in.hasRemaining()) {
      int option = Byte.toUnsignedInt(in.get());
      if (option == END) {
        return;
      }
      if (option == PAD) {
        continue;
      }
      int length = in.hasRemaining() ? Byte.toUnsignedInt(in.get()) : Integer.MAX_VALUE;
      if (length > in.remaining()) {
        return;
      }
      byte[] value = new byte[length];
      in.get(value);
      options.merge(option, value, Dhcpv4Message::concatenate);
    }
  }

  private static byte[] concatenate(byte[] one, byte[] other) {
    byte[] joined = Arrays.copyOf(one, one.length + other.length);
    System.arraycopy(other, 0, joined, one.length, other.length);
    return joined;
  }

  /** Returns the message type (option 53); 0 if it is missing. */
  int type() {
    byte[] value = options.getOrDefault(MESSAGE_TYPE, new byte[0]);
    return value.length == 1 ? value[0] : 0;
  }

  /** Returns the value of an option that is an unsigned 32-bit number. */
  Optional<Long> uint32(int option) {
    byte[] value = options.get(option);
    return value == null || value.length != 4
        ? Optional.empty()
        : Optional.of(Integer.toUnsignedLong(ByteBuffer.wrap(value).getInt()));
  }

  /** Returns the value of an option that is a list of addresses; a truncated one is ignored. */
  List<InetAddress> addresses(int option) {
    byte[] value = options.getOrDefault(option, new byte[0]);
    List<InetAddress> addresses = new ArrayList<>();
    for (int at = 0; at + 4 <= value.length; at += 4) {
      addresses.add(InetAddresses.of(Arrays.copyOfRange(value, at, at + 4)));
    }
    return addresses;
  }
}
