package cni.netlink.ffm;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.function.Consumer;

/**
 * A netlink message in the making. What a request consists of is written in the order of the
 * kernel's header: first the fixed structure, field by field, then the attributes.
 *
 * <pre>{@code
 * new NetlinkMessage("set link 3 up", RTM_NEWLINK, 0)
 *     .u8(AF_UNSPEC).u8(0).u16(0).s32(3).u32(IFF_UP).u32(IFF_UP)   // struct ifinfomsg
 *     .u32(IFLA_GROUP, 7);
 * }</pre>
 */
public final class NetlinkRequest {
  /** Types of netfilter's family hold the number of a subsystem in their upper byte. */
  private static final int FIRST_SUBSYSTEM_TYPE = 0x100;

  private final String description;
  private final int type;
  private final int flags;
  private ByteBuffer buffer = ByteBuffer.allocate(256).order(ByteOrder.nativeOrder());

  /**
   * Begins a request.
   *
   * @param description what it asks for, to begin the message of an error: {@code create link
   *     "eth0"}
   * @param type such as RTM_NEWLINK
   * @param flags those beyond NLM_F_REQUEST and NLM_F_ACK, which the socket adds
   */
  public NetlinkRequest(String description, int type, int flags) {
    this.description = description;
    this.type = type;
    this.flags = flags;
    buffer.position(NetlinkConstants.NLMSG_HDRLEN);
  }

  /** What it asks for. */
  public String description() {
    return description;
  }

  /** Whether it asks for a list. */
  boolean isDump() {
    return (flags & NetlinkConstants.NLM_F_DUMP) == NetlinkConstants.NLM_F_DUMP;
  }

  /** Whether it only asks. */
  boolean isQuery() {
    return isDump() || hasSingleResponse();
  }

  /**
   * Whether the answer is one message or a refusal, so that no acknowledgement is needed. The
   * RTM_GET types are 2 modulo 4 (linux/rtnetlink.h).
   */
  boolean hasSingleResponse() {
    return !isDump() && type < FIRST_SUBSYSTEM_TYPE && type % 4 == 2;
  }

  /** Appends a field of a structure. */
  public NetlinkRequest u8(int value) {
    reserve(1).put((byte) value);
    return this;
  }

  /** Appends a field of a structure, in the machine's byte order. */
  public NetlinkRequest u16(int value) {
    reserve(2).putShort((short) value);
    return this;
  }

  /** Appends a field of a structure, in the machine's byte order. */
  public NetlinkRequest u32(int value) {
    reserve(4).putInt(value);
    return this;
  }

  /** Appends an attribute of one byte. */
  public NetlinkRequest u8(int attribute, int value) {
    attributeHeader(attribute, 1).put((byte) value);
    return pad();
  }

  /** Appends an attribute of two bytes, in the machine's byte order. */
  public NetlinkRequest u16(int attribute, int value) {
    attributeHeader(attribute, 2).putShort((short) value);
    return pad();
  }

  /** Appends an attribute of four bytes, in the machine's byte order. */
  public NetlinkRequest u32(int attribute, int value) {
    attributeHeader(attribute, 4).putInt(value);
    return pad();
  }

  /** Appends an attribute of eight bytes, in the machine's byte order. */
  public NetlinkRequest u64(int attribute, long value) {
    attributeHeader(attribute, 8).putLong(value);
    return pad();
  }

  /** Appends an attribute of two bytes, in the network's byte order. */
  public NetlinkRequest be16(int attribute, int value) {
    attributeHeader(attribute, 2).put((byte) (value >>> 8)).put((byte) value);
    return pad();
  }

  /** Appends an attribute of four bytes, in the network's byte order. */
  public NetlinkRequest be32(int attribute, int value) {
    return bytes(attribute, ByteBuffer.allocate(4).putInt(value).array());
  }

  /** Appends an attribute of eight bytes, in the network's byte order. */
  public NetlinkRequest be64(int attribute, long value) {
    return bytes(attribute, ByteBuffer.allocate(8).putLong(value).array());
  }

  /** Appends an attribute of bytes as they are. */
  public NetlinkRequest bytes(int attribute, byte[] value) {
    attributeHeader(attribute, value.length).put(value);
    return pad();
  }

  /** Appends an attribute of text with its terminating zero. */
  public NetlinkRequest string(int attribute, String value) {
    byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
    attributeHeader(attribute, bytes.length + 1).put(bytes).put((byte) 0);
    return pad();
  }

  /** Appends an attribute of text without a terminating zero. */
  public NetlinkRequest unterminatedString(int attribute, String value) {
    return bytes(attribute, value.getBytes(StandardCharsets.UTF_8));
  }

  /** Appends an attribute that holds what {@code content} appends. */
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
   * The whole message with its header, as it goes to the kernel.
   *
   * @param acknowledged whether the kernel is to say that it has done it; a refusal it tells anyway
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
   * What follows the header: for comparing a request with another program's.
   *
   * @return the structure and the attributes
   */
  public byte[] payload() {
    return Arrays.copyOfRange(buffer.array(), NetlinkConstants.NLMSG_HDRLEN, buffer.position());
  }

  /** {@code nlmsg_type}. */
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
