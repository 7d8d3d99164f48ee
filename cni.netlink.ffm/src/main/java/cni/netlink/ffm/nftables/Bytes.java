// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;

/** An immutable array of bytes, compared by content. */
public final class Bytes {
  private final byte[] content;

  /** The hash code; 0 until it is computed. Sets have tens of thousands of elements. */
  private int hash;

  private Bytes(byte[] content) {
    this.content = content;
  }

  /** Returns a copy of the given bytes. */
  public static Bytes of(byte... content) {
    return new Bytes(content.clone());
  }

  /** Returns a copy of a buffer from 0 to its limit. */
  static Bytes of(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.limit()];
    buffer.get(0, bytes);
    return new Bytes(bytes);
  }

  /** Returns bytes that all have one value. */
  static Bytes repeated(int length, int value) {
    byte[] bytes = new byte[length];
    Arrays.fill(bytes, (byte) value);
    return new Bytes(bytes);
  }

  /** Returns a number of two bytes in network byte order. */
  public static Bytes be16(int number) {
    return of((byte) (number >>> 8), (byte) number);
  }

  /** Returns a number of four bytes in network byte order. */
  static Bytes be32(int number) {
    return of(ByteBuffer.allocate(4).putInt(number));
  }

  /** Returns the UTF-8 encoding of a text, padded with zeros or truncated to a length. */
  static Bytes padded(String text, int length) {
    return new Bytes(Arrays.copyOf(text.getBytes(StandardCharsets.UTF_8), length));
  }

  /** Returns the first bytes. */
  public Bytes first(int count) {
    return new Bytes(Arrays.copyOf(content, count));
  }

  /** Returns the next higher number; empty if all bits are set. */
  Optional<Bytes> successor() {
    byte[] bytes = content.clone();
    for (int i = bytes.length - 1; i >= 0; i--) {
      if (++bytes[i] != 0) {
        return Optional.of(new Bytes(bytes));
      }
    }
    return Optional.empty();
  }

  /** Returns the next lower number; that of 0 has all bits set. */
  Bytes predecessor() {
    byte[] bytes = content.clone();
    for (int i = bytes.length - 1; i >= 0 && bytes[i]-- == 0; i--) {}
    return new Bytes(bytes);
  }

  /** Compares as unsigned numbers, if both have the same length. */
  int compareUnsigned(Bytes other) {
    return Arrays.compareUnsigned(content, other.content);
  }

  /** Returns the bitwise AND with a mask, which must not be shorter. */
  Bytes and(Bytes mask) {
    byte[] bytes = content.clone();
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] &= mask.content[i];
    }
    return new Bytes(bytes);
  }

  /**
   * Returns whether netlink attributes contain these bytes at an aligned offset.
   *
   * @param alignment 4 for the value of an attribute, less for a field of a structure
   */
  boolean occursIn(ByteBuffer attributes, int alignment) {
    boolean hasWord = content.length >= Integer.BYTES;
    int word = hasWord ? ByteBuffer.wrap(content).order(attributes.order()).getInt(0) : 0;
    for (int offset = 0; offset + content.length <= attributes.limit(); offset += alignment) {
      if ((!hasWord || attributes.getInt(offset) == word) && isAt(offset, attributes)) {
        return true;
      }
    }
    return false;
  }

  private boolean isAt(int offset, ByteBuffer buffer) {
    int equal = 0;
    while (equal < content.length && buffer.get(offset + equal) == content[equal]) {
      equal++;
    }
    return equal == content.length;
  }

  /** Returns the number of bytes. */
  public int length() {
    return content.length;
  }

  /** Returns a copy of the bytes. */
  public byte[] toArray() {
    return content.clone();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Bytes bytes && Arrays.equals(content, bytes.content);
  }

  @Override
  public int hashCode() {
    if (hash == 0) {
      int computed = 0x811c9dc5; // FNV-1a; Arrays.hashCode has one value for every eight ports
      for (byte value : content) {
        computed = (computed ^ Byte.toUnsignedInt(value)) * 0x01000193;
      }
      hash = computed ^ computed >>> 15;
    }
    return hash;
  }

  /** Returns the bytes in hexadecimal: {@code 0x0a01}. */
  @Override
  public String toString() {
    return "0x" + HexFormat.of().formatHex(content);
  }
}
