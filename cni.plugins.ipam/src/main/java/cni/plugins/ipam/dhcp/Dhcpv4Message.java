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
 * A message of DHCP (RFC 2131, section 2; options RFC 2132).
 *
 * @param isReply whether it comes from a server
 * @param xid what tells the conversation from others
 * @param secs for how long the client has been asking, in seconds
 * @param broadcast whether the answer is to go to everybody on the link
 * @param clientAddress the address that the client uses already, or 0.0.0.0
 * @param yourAddress the address that the server gives
 * @param mac the client's hardware address, lower case with colons
 * @param options by number
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

  // offsets of the fixed part
  private static final int YIADDR = 16;
  private static final int CHADDR = 28;
  private static final int SNAME = 44;
  private static final int FILE = 108;
  private static final int OPTIONS = 240;

  /** What every relay passes on (RFC 951): shorter messages are filled up. */
  private static final int MIN_BOOTP_MESSAGE = 300;

  private static final int MAX_OPTION_LENGTH = 255;
  private static final int BROADCAST_FLAG = 0x8000;
  private static final int MAC_LENGTH = 6;

  /** The bytes of a request. */
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

  /** Reads a message; empty if the bytes are none. */
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
    int also = overload.length == 1 ? overload[0] : 0;
    if ((also & 1) != 0) {
      readOptions(message.slice(FILE, OPTIONS - 4 - FILE), options);
    }
    if ((also & 2) != 0) {
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

  /** An option that occurs again goes on (RFC 3396); what is cut off is passed over. */
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
      options.merge(option, value, Dhcpv4Message::join);
    }
  }

  private static byte[] join(byte[] one, byte[] other) {
    byte[] joined = Arrays.copyOf(one, one.length + other.length);
    System.arraycopy(other, 0, joined, one.length, other.length);
    return joined;
  }

  /** What kind of message it is; 0 if it does not say. */
  int type() {
    byte[] value = options.getOrDefault(MESSAGE_TYPE, new byte[0]);
    return value.length == 1 ? value[0] : 0;
  }

  /** An option that is a number of 32 bits without sign. */
  Optional<Long> uint32(int option) {
    byte[] value = options.get(option);
    return value == null || value.length != 4
        ? Optional.empty()
        : Optional.of(Integer.toUnsignedLong(ByteBuffer.wrap(value).getInt()));
  }

  /** An option that is a list of addresses; without those that are cut off. */
  List<InetAddress> addresses(int option) {
    byte[] value = options.getOrDefault(option, new byte[0]);
    List<InetAddress> addresses = new ArrayList<>();
    for (int at = 0; at + 4 <= value.length; at += 4) {
      addresses.add(InetAddresses.of(Arrays.copyOfRange(value, at, at + 4)));
    }
    return addresses;
  }
}
