// SPDX-License-Identifier: Apache-2.0
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
 * The attributes of a message from the kernel, or those nested in one of them. Lengths are checked
 * against what was received.
 */
public final class Attributes {
  /** No attributes. */
  public static final Attributes NONE = new Attributes(ByteBuffer.allocate(0));

  /** Searched linearly at each access: the kernel sends many attributes, and few are read. */
  private final ByteBuffer buffer;

  private Attributes(ByteBuffer buffer) {
    this.buffer = buffer;
  }

  /**
   * Reads the attributes between a buffer's position and its limit. The content is not copied.
   *
   * @throws MalformedMessageException if an attribute is longer than what is left of the buffer
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

  /** Returns whether there is such an attribute. */
  public boolean has(int attribute) {
    return value(attribute).isPresent();
  }

  /** Returns a copy of an attribute's bytes; empty if there is no such attribute. */
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
   * Returns the value of an attribute of one byte.
   *
   * @return empty if there is no such attribute
   * @throws MalformedMessageException if it is shorter
   */
  public OptionalInt u8(int attribute) throws MalformedMessageException {
    Optional<ByteBuffer> value = value(attribute, 1);
    return value.isEmpty()
        ? OptionalInt.empty()
        : OptionalInt.of(Byte.toUnsignedInt(value.get().get(0)));
  }

  /**
   * Returns the value of an attribute of two bytes, in native byte order.
   *
   * @return empty if there is no such attribute
   * @throws MalformedMessageException if it is shorter
   */
  public OptionalInt u16(int attribute) throws MalformedMessageException {
    Optional<ByteBuffer> value = value(attribute, 2);
    return value.isEmpty()
        ? OptionalInt.empty()
        : OptionalInt.of(Short.toUnsignedInt(value.get().getShort(0)));
  }

  /**
   * Returns the value of an attribute of four bytes, in native byte order.
   *
   * @return empty if there is no such attribute
   * @throws MalformedMessageException if it is shorter
   */
  public OptionalInt u32(int attribute) throws MalformedMessageException {
    Optional<ByteBuffer> value = value(attribute, 4);
    return value.isEmpty() ? OptionalInt.empty() : OptionalInt.of(value.get().getInt(0));
  }

  /**
   * Returns the value of an attribute of four bytes, in network byte order.
   *
   * @return empty if there is no such attribute
   * @throws MalformedMessageException if it is shorter
   */
  public OptionalInt be32(int attribute) throws MalformedMessageException {
    Optional<ByteBuffer> value = value(attribute, 4);
    return value.isEmpty()
        ? OptionalInt.empty()
        : OptionalInt.of(value.get().duplicate().order(ByteOrder.BIG_ENDIAN).getInt(0));
  }

  /**
   * Returns the value of an attribute of eight bytes, in network byte order.
   *
   * @return empty if there is no such attribute
   * @throws MalformedMessageException if it is shorter
   */
  public OptionalLong be64(int attribute) throws MalformedMessageException {
    Optional<ByteBuffer> value = value(attribute, 8);
    return value.isEmpty()
        ? OptionalLong.empty()
        : OptionalLong.of(value.get().duplicate().order(ByteOrder.BIG_ENDIAN).getLong(0));
  }

  /** Returns an attribute of UTF-8 text, up to a zero byte; empty if there is none. */
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
   * Returns the attributes nested in an attribute.
   *
   * @return empty if there is no such attribute
   * @throws MalformedMessageException if a length in it is wrong
   */
  public Optional<Attributes> nested(int attribute) throws MalformedMessageException {
    Optional<ByteBuffer> value = value(attribute);
    return value.isEmpty() ? Optional.empty() : Optional.of(read(value.get()));
  }

  /** Returns the value of every attribute of a type that may occur more than once, in order. */
  public List<ByteBuffer> all(int attribute) {
    List<ByteBuffer> found = new ArrayList<>(1);
    for (int at = 0; hasAttributeAt(at); at = offsetAfter(at)) {
      if (typeAt(at) == attribute) {
        found.add(valueAt(at));
      }
    }
    return found;
  }

  /** If an attribute occurs twice, the last one is used, as in the kernel's nla_parse. */
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
