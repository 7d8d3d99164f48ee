package cni.netlink.ffm;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * The attributes of a message from the kernel, or those nested in one of them. Every length is
 * checked against what was received.
 */
public final class Attributes {
  /** No attributes. */
  public static final Attributes NONE = new Attributes(ByteBuffer.allocate(0));

  /** Their bytes. They are looked through at each question: few are asked for, many come. */
  private final ByteBuffer buffer;

  private Attributes(ByteBuffer buffer) {
    this.buffer = buffer;
  }

  /**
   * Reads the attributes that fill the buffer from its position to its limit.
   *
   * @throws MalformedMessageException if a length does not fit
   */
  public static Attributes read(ByteBuffer buffer) throws MalformedMessageException {
    var attributes = new Attributes(buffer.slice().order(buffer.order()));
    for (int at = 0; attributes.hasAttributeAt(at); at = attributes.offsetAfter(at)) {
      int length = attributes.lengthAt(at);
      if (length < NetlinkConstants.NLA_HDRLEN || length > attributes.buffer.limit() - at) {
        throw new MalformedMessageException(
            "attribute " + attributes.typeAt(at) + " has length " + length);
      }
    }
    return attributes;
  }

  private boolean hasAttributeAt(int at) {
    return buffer.limit() - at >= NetlinkConstants.NLA_HDRLEN;
  }

  private int lengthAt(int at) {
    return Short.toUnsignedInt(buffer.getShort(at));
  }

  private int typeAt(int at) {
    return Short.toUnsignedInt(buffer.getShort(at + 2)) & NetlinkConstants.NLA_TYPE_MASK;
  }

  private int offsetAfter(int at) {
    return at + NetlinkConstants.align(lengthAt(at));
  }

  /** Whether the attribute is there. */
  public boolean has(int attribute) {
    return value(attribute).isPresent();
  }

  /** The attribute's bytes. */
  public Optional<byte[]> bytes(int attribute) {
    return value(attribute)
        .map(
            value -> {
              byte[] bytes = new byte[value.remaining()];
              value.get(0, bytes);
              return bytes;
            });
  }

  /**
   * The attribute as a number of one byte.
   *
   * @throws MalformedMessageException if it is shorter
   */
  public OptionalInt u8(int attribute) throws MalformedMessageException {
    Optional<ByteBuffer> value = value(attribute, 1);
    return value.isEmpty()
        ? OptionalInt.empty()
        : OptionalInt.of(Byte.toUnsignedInt(value.get().get(0)));
  }

  /**
   * The attribute as a number of two bytes, in the machine's byte order.
   *
   * @throws MalformedMessageException if it is shorter
   */
  public OptionalInt u16(int attribute) throws MalformedMessageException {
    Optional<ByteBuffer> value = value(attribute, 2);
    return value.isEmpty()
        ? OptionalInt.empty()
        : OptionalInt.of(Short.toUnsignedInt(value.get().getShort(0)));
  }

  /**
   * The attribute as a number of four bytes, in the machine's byte order.
   *
   * @throws MalformedMessageException if it is shorter
   */
  public OptionalInt u32(int attribute) throws MalformedMessageException {
    Optional<ByteBuffer> value = value(attribute, 4);
    return value.isEmpty() ? OptionalInt.empty() : OptionalInt.of(value.get().getInt(0));
  }

  /**
   * The attribute as a number of four bytes, in the network's byte order.
   *
   * @throws MalformedMessageException if it is shorter
   */
  public OptionalInt be32(int attribute) throws MalformedMessageException {
    Optional<ByteBuffer> value = value(attribute, 4);
    return value.isEmpty()
        ? OptionalInt.empty()
        : OptionalInt.of(value.get().duplicate().order(ByteOrder.BIG_ENDIAN).getInt(0));
  }

  /**
   * The attribute as a number of eight bytes, in the network's byte order.
   *
   * @throws MalformedMessageException if it is shorter
   */
  public OptionalLong be64(int attribute) throws MalformedMessageException {
    Optional<ByteBuffer> value = value(attribute, 8);
    return value.isEmpty()
        ? OptionalLong.empty()
        : OptionalLong.of(value.get().duplicate().order(ByteOrder.BIG_ENDIAN).getLong(0));
  }

  /** The attribute as text, up to its terminating zero. */
  public Optional<String> string(int attribute) {
    return bytes(attribute)
        .map(
            bytes -> {
              int length = 0;
              while (length < bytes.length && bytes[length] != 0) {
                length++;
              }
              return new String(bytes, 0, length, StandardCharsets.UTF_8);
            });
  }

  /**
   * The attributes nested in the attribute.
   *
   * @throws MalformedMessageException if a length does not fit
   */
  public Optional<Attributes> nested(int attribute) throws MalformedMessageException {
    Optional<ByteBuffer> value = value(attribute);
    return value.isEmpty() ? Optional.empty() : Optional.of(read(value.get()));
  }

  /** The bytes of each attribute of that type, for those that occur more than once. */
  public List<ByteBuffer> all(int attribute) {
    List<ByteBuffer> found = new ArrayList<>(1);
    for (int at = 0; hasAttributeAt(at); at = offsetAfter(at)) {
      if (typeAt(at) == attribute) {
        found.add(valueAt(at));
      }
    }
    return found;
  }

  /** As the kernel does where an attribute occurs twice, the last one counts. */
  private Optional<ByteBuffer> value(int attribute) {
    int last = -1;
    for (int at = 0; hasAttributeAt(at); at = offsetAfter(at)) {
      if (typeAt(at) == attribute) {
        last = at;
      }
    }
    return last < 0 ? Optional.empty() : Optional.of(valueAt(last));
  }

  private ByteBuffer valueAt(int at) {
    return buffer
        .slice(at + NetlinkConstants.NLA_HDRLEN, lengthAt(at) - NetlinkConstants.NLA_HDRLEN)
        .order(buffer.order());
  }

  private Optional<ByteBuffer> value(int attribute, int length) throws MalformedMessageException {
    Optional<ByteBuffer> value = value(attribute);
    if (value.isPresent() && value.get().remaining() < length) {
      throw new MalformedMessageException(
          "attribute " + attribute + " has " + value.get().remaining() + " bytes, not " + length);
    }
    return value;
  }
}
