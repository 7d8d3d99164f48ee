package cni.netlink.ffm.nftables;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;

/** Some bytes that do not change, equal to any others of the same content. */
public final class Bytes {
  private final byte[] content;

  private Bytes(byte[] content) {
    this.content = content;
  }

  /** A copy of these. */
  public static Bytes of(byte... content) {
    return new Bytes(content.clone());
  }

  /** A copy of the whole buffer, up to its limit. */
  static Bytes of(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.limit()];
    buffer.get(0, bytes);
    return new Bytes(bytes);
  }

  /** That many of one value. */
  static Bytes repeated(int length, int value) {
    byte[] bytes = new byte[length];
    Arrays.fill(bytes, (byte) value);
    return new Bytes(bytes);
  }

  /** The number in the network's byte order. */
  static Bytes be16(int number) {
    return of((byte) (number >>> 8), (byte) number);
  }

  /** The text and zeros up to that length. */
  static Bytes padded(String text, int length) {
    return new Bytes(Arrays.copyOf(text.getBytes(StandardCharsets.UTF_8), length));
  }

  /** The first of them. */
  Bytes first(int count) {
    return new Bytes(Arrays.copyOf(content, count));
  }

  /** Each with the bits that the other has at its place. */
  Bytes and(Bytes mask) {
    byte[] bytes = content.clone();
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] &= mask.content[i];
    }
    return new Bytes(bytes);
  }

  /** Whether a value among these attributes begins so: values are at multiples of four bytes. */
  boolean occursIn(ByteBuffer attributes) {
    for (int at = 0; at + content.length <= attributes.limit(); at += 4) {
      if (isAt(at, attributes)) {
        return true;
      }
    }
    return false;
  }

  private boolean isAt(int at, ByteBuffer buffer) {
    int same = 0;
    while (same < content.length && buffer.get(at + same) == content[same]) {
      same++;
    }
    return same == content.length;
  }

  /** How many. */
  public int length() {
    return content.length;
  }

  /** A copy of them. */
  public byte[] toArray() {
    return content.clone();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Bytes bytes && Arrays.equals(content, bytes.content);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(content);
  }

  /** In hexadecimal. */
  @Override
  public String toString() {
    return "0x" + HexFormat.of().formatHex(content);
  }
}
