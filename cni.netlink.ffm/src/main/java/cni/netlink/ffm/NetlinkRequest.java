// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.function.Consumer;

/**
 * A netlink request under construction. Its content is appended in the order in which the kernel's
 * headers declare it: the family's fixed structure field by field, then the attributes.
 *
 * <pre>{@code
 * new NetlinkRequest("set link 3 up", RTM_NEWLINK, 0)
 *     .u8(AF_UNSPEC).u8(0).u16(0).u32(3).u32(IFF_UP).u32(IFF_UP)   // struct ifinfomsg
 *     .u32(IFLA_GROUP, 7);
 * }</pre>
 */
public final class NetlinkRequest {
  /**
   * The lowest type of netfilter, whose types have a subsystem in the upper byte
   * (linux/nfnetlink.h).
   */
  private static final int FIRST_SUBSYSTEM_TYPE = 0x100;

  private final String description;
  private final int type;
  private final int flags;
  private ByteBuffer buffer = ByteBuffer.allocate(256).order(ByteOrder.nativeOrder());

  /**
   * Creates a request without content.
   *
   * @param description what the request does, the beginning of the message of an exception: {@code
   *     create link "eth0"}
   * @param type {@code nlmsg_type}, such as RTM_NEWLINK
   * @param flags {@code nlmsg_flags}, to which the socket adds NLM_F_REQUEST and NLM_F_ACK
   */
  public NetlinkRequest(String description, int type, int flags) {
    this.description = description;
    this.type = type;
    this.flags = flags;
    buffer.position(NetlinkConstants.NLMSG_HDRLEN);
  }

  /** Returns what the request does. */
  public String description() {
    return description;
  }

  /** Returns whether the request lists objects (NLM_F_DUMP). */
  boolean isDump() {
    return (flags & NetlinkConstants.NLM_F_DUMP) == NetlinkConstants.NLM_F_DUMP;
  }

  /** Returns whether the request changes nothing. */
  boolean isQuery() {
    return isDump() || hasSingleResponse();
  }

  /**
   * Returns whether the response is a single message or an error, so that no acknowledgement is
   * needed: the RTM_GET types, which are 2 modulo 4 (linux/rtnetlink.h).
   */
  boolean hasSingleResponse() {
    return !isDump() && type < FIRST_SUBSYSTEM_TYPE && type % 4 == 2;
  }

  /** Appends a structure's field of one byte. */
  public NetlinkRequest u8(int value) {
    reserve(1).put((byte) value);
    return this;
  }

  /** Appends a structure's field of two bytes, in native byte order. */
  public NetlinkRequest u16(int value) {
    reserve(2).putShort((short) value);
    return this;
  }

  /** Appends a structure's field of four bytes, in native byte order. */
  public NetlinkRequest u32(int value) {
    reserve(4).putInt(value);
    return this;
  }

  /** Appends an attribute of one byte. */
  public NetlinkRequest u8(int attribute, int value) {
    attributeHeader(attribute, 1).put((byte) value);
    return pad();
  }

  /** Appends an attribute of two bytes, in native byte order. */
  public NetlinkRequest u16(int attribute, int value) {
    attributeHeader(attribute, 2).putShort((short) value);
    return pad();
  }

  /** Appends an attribute of four bytes, in native byte order. */
  public NetlinkRequest u32(int attribute, int value) {
    attributeHeader(attribute, 4).putInt(value);
    return pad();
  }

  /** Appends an attribute of eight bytes, in native byte order. */
  public NetlinkRequest u64(int attribute, long value) {
    attributeHeader(attribute, 8).putLong(value);
    return pad();
  }

  /** Appends an attribute of two bytes, in network byte order. */
  public NetlinkRequest be16(int attribute, int value) {
    attributeHeader(attribute, 2).put((byte) (value >>> 8)).put((byte) value);
    return pad();
  }

  /** Appends an attribute of four bytes, in network byte order. */
  public NetlinkRequest be32(int attribute, int value) {
    return bytes(attribute, ByteBuffer.allocate(4).putInt(value).array());
  }

  /** Appends an attribute of eight bytes, in network byte order. */
  public NetlinkRequest be64(int attribute, long value) {
    return bytes(attribute, ByteBuffer.allocate(8).putLong(value).array());
  }

  /** Appends an attribute of bytes. */
  public NetlinkRequest bytes(int attribute, byte[] value) {
    attributeHeader(attribute, value.length).put(value);
    return pad();
  }

  /** Appends an attribute of UTF-8 text with a terminating zero. */
  public NetlinkRequest string(int attribute, String value) {
    byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
    attributeHeader(attribute, bytes.length + 1).put(bytes).put((byte) 0);
    return pad();
  }

  /** Appends an attribute of UTF-8 text without a terminating zero. */
  public NetlinkRequest unterminatedString(int attribute, String value) {
    return bytes(attribute, value.getBytes(StandardCharsets.UTF_8));
  }

  /** Appends an attribute that contains what {@code content} appends. */
  public NetlinkRequest nest(int attribute, Consumer<NetlinkRequest> content) {
    int start = buffer.position();
    attributeHeader(attribute, 0);
    content.accept(this);
    int length = buffer.position() - start;
    if (length > 0xffff) {
      throw new IllegalStateException("an attribute cannot have " + length + " bytes");
    }
    buffer.putShort(start, (short) length);
    return this;
  }

  /**
   * Returns the message with its header and padding.
   *
   * @param acknowledged whether the kernel shall acknowledge success; it reports errors anyway
   */
  byte[] encode(int sequence, int port, boolean acknowledged) {
    int length = buffer.position();
    buffer.putInt(0, length);
    buffer.putShort(4, (short) type);
    int ack =
        acknowledged && !isDump() ? NetlinkConstants.NLM_F_ACK : 0; // a dump ends with NLMSG_DONE
    buffer.putShort(6, (short) (flags | NetlinkConstants.NLM_F_REQUEST | ack));
    buffer.putInt(8, sequence);
    buffer.putInt(12, port);
    return Arrays.copyOf(buffer.array(), NetlinkConstants.align(length));
  }

  /**
   * Returns the fixed structure and the attributes, without the header, to compare requests of
   * different programs.
   */
  public byte[] payload() {
    return Arrays.copyOfRange(buffer.array(), NetlinkConstants.NLMSG_HDRLEN, buffer.position());
  }

  /** Returns {@code nlmsg_type}. */
  public int type() {
    return type;
  }

  private ByteBuffer attributeHeader(int attribute, int valueLength) {
    int length = NetlinkConstants.NLA_HDRLEN + valueLength;
    if (length > 0xffff) {
      throw new IllegalArgumentException("an attribute cannot have " + length + " bytes");
    }
    return reserve(NetlinkConstants.align(length))
        .putShort((short) length)
        .putShort((short) attribute);
  }

  private NetlinkRequest pad() {
    buffer.position(NetlinkConstants.align(buffer.position()));
    return this;
  }

  private ByteBuffer reserve(int length) {
    if (buffer.remaining() < length) {
      int size = Math.max(2 * buffer.capacity(), buffer.position() + length);
      buffer.flip();
      buffer = ByteBuffer.allocate(size).order(ByteOrder.nativeOrder()).put(buffer);
    }
    return buffer;
  }
}
