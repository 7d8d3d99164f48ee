// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/**
 * A DHCPv6 message between client and server (RFC 8415, section 8).
 *
 * @param type the message type, such as {@link #SOLICIT}
 * @param xid the transaction id, 24 bits
 * @param options the options, in their order
 */
record Dhcpv6Message(int type, int xid, List<Option> options) {
  static final int CLIENT_PORT = 546;
  static final int SERVER_PORT = 547;

  static final int SOLICIT = 1;
  static final int ADVERTISE = 2;
  static final int REQUEST = 3;
  static final int RENEW = 5;
  static final int REBIND = 6;
  static final int REPLY = 7;
  static final int RELEASE = 8;

  static final int CLIENT_ID = 1;
  static final int SERVER_ID = 2;
  static final int IA_NA = 3;
  static final int IA_ADDRESS = 5;
  static final int OPTION_REQUEST = 6;
  static final int ELAPSED_TIME = 8;
  static final int STATUS_CODE = 13;
  static final int DNS_SERVERS = 23;
  static final int DOMAIN_LIST = 24;

  static final int NO_ADDRS_AVAIL = 2;
  static final int NO_BINDING = 3;

  private static final int XID_MASK = 0xffffff;
  private static final int HEADER = 4;

  Dhcpv6Message {
    options = List.copyOf(options);
    xid &= XID_MASK;
  }

  /**
   * An option (RFC 8415, section 21).
   *
   * @param code the option code
   * @param value the bytes of its value
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Option(int code, byte[] value) {
    /** Returns an option whose value is a header followed by options. */
    static Option of(int code, byte[] head, List<Option> inner) {
      ByteBuffer out = ByteBuffer.allocate(head.length + size(inner)).put(head);
      inner.forEach(option -> option.put(out));
      return new Option(code, out.array());
    }

    private void put(ByteBuffer out) {
      out.putShort((short) code).putShort((short) value.length).put(value);
    }

    /** Returns the options in the value after a header; empty if the value is shorter. */
    List<Option> inner(int head) {
      return value.length < head
          ? List.of()
          : readOptions(ByteBuffer.wrap(value, head, value.length - head));
    }
  }

  private static int size(List<Option> options) {
    return options.stream().mapToInt(option -> HEADER + option.value().length).sum();
  }

  byte[] encode() {
    ByteBuffer out = ByteBuffer.allocate(HEADER + size(options)).putInt(type << 24 | xid);
    options.forEach(option -> option.put(out));
    return out.array();
  }

  /** Decodes a message; absent if there are too few bytes. */
  static Optional<Dhcpv6Message> decode(ByteBuffer in) {
    if (in.remaining() < HEADER) {
      return Optional.empty();
    }
    int head = in.getInt();
    return Optional.of(new Dhcpv6Message(head >>> 24, head & XID_MASK, readOptions(in)));
  }

  /** Reads options; a truncated one is ignored. */
  private static List<Option> readOptions(ByteBuffer in) {
    List<Option> options = new ArrayList<>();
    while (in.remaining() >= HEADER) {
      int code = Short.toUnsignedInt(in.getShort());
      int length = Short.toUnsignedInt(in.getShort());
      if (length > in.remaining()) {
        break;
      }
      byte[] value = new byte[length];
      in.get(value);
      options.add(new Option(code, value));
    }
    return options;
  }

  /** Returns the first option with a code. */
  static Optional<Option> find(List<Option> options, int code) {
    return options.stream().filter(option -> option.code() == code).findFirst();
  }

  Optional<Option> find(int code) {
    return find(options, code);
  }

  /** Returns the server's DUID in hexadecimal; empty if it is missing. */
  String serverDuid() {
    return find(SERVER_ID).map(option -> HexFormat.of().formatHex(option.value())).orElse("");
  }

  /** Returns the status code of the options; 0 (Success) if there is none. */
  static int status(List<Option> options) {
    return find(options, STATUS_CODE)
        .filter(option -> option.value().length >= 2)
        .map(option -> (int) ByteBuffer.wrap(option.value()).getShort())
        .orElse(0);
  }
}
