// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The user data of a rule, table or chain, which the kernel stores but does not interpret:
 * attributes of a byte for the type, a byte for the length, and a value (NFTA_RULE_USERDATA;
 * libnftnl/udata.h). For the implementation of {@code equals} see {@link Table}.
 *
 * @param comment the comment that nft(8) shows; empty for none
 * @param owner the name of the owner of a rule; empty for none. It is stored as an attribute of a
 *     type that nft and iptables do not know and ignore: their listings do not show it
 */
public record Userdata(Optional<String> comment, Optional<String> owner) {
  /** No comment and no owner. */
  public static final Userdata NONE = new Userdata(Optional.empty(), Optional.empty());

  /** The length in bytes of the longest comment that nft accepts. */
  public static final int MAX_COMMENT_BYTES = 128;

  private static final int NFTNL_UDATA_RULE_COMMENT = 0;
  private static final int OWNER = 0xc1;
  private static final int MAX_VALUE_BYTES = 255;

  /** Returns user data of a comment alone. */
  public static Userdata comment(String text) {
    return new Userdata(Optional.of(text), Optional.empty());
  }

  /** Returns this user data with an owner. */
  public Userdata withOwner(String name) {
    return new Userdata(comment, Optional.of(name));
  }

  /** Truncates a text to {@link #MAX_COMMENT_BYTES} of UTF-8, at the end of a character. */
  public static String truncateComment(String comment) {
    byte[] bytes = comment.getBytes(StandardCharsets.UTF_8);
    int end = Math.min(bytes.length, MAX_COMMENT_BYTES);
    while (end < bytes.length && (bytes[end] & 0xc0) == 0x80) { // a continuation byte
      end--;
    }
    return new String(bytes, 0, end, StandardCharsets.UTF_8);
  }

  // Written by hand: the first generated equals or hashCode that a process calls costs 17 % of the
  // time of "cni add" (docs/decisions/0005-image-start.md).

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Userdata userdata
        && comment.equals(userdata.comment)
        && owner.equals(userdata.owner);
  }

  @Override
  public int hashCode() {
    return 31 * comment.hashCode() + owner.hashCode();
  }

  byte[] toBytes() {
    var bytes = new ByteArrayOutputStream();
    comment.ifPresent(text -> write(bytes, NFTNL_UDATA_RULE_COMMENT, text));
    owner.ifPresent(text -> write(bytes, OWNER, text));
    return bytes.toByteArray();
  }

  private static void write(ByteArrayOutputStream bytes, int type, String text) {
    byte[] value = (text + "\0").getBytes(StandardCharsets.UTF_8);
    if (value.length > MAX_VALUE_BYTES) {
      throw new IllegalArgumentException("too long for a rule's user data: " + text);
    }
    bytes.write(type);
    bytes.write(value.length);
    bytes.writeBytes(value);
  }

  /** Reads user data, which may be of any program and format. Returns NONE if it is malformed. */
  static Userdata read(byte[] bytes) {
    Userdata userdata = NONE;
    int offset = 0;
    while (offset + 2 <= bytes.length) {
      int length = Byte.toUnsignedInt(bytes[offset + 1]);
      if (offset + 2 + length > bytes.length) {
        return NONE;
      }
      int end = length > 0 && bytes[offset + 1 + length] == 0 ? length - 1 : length;
      Optional<String> text =
          Optional.of(new String(bytes, offset + 2, end, StandardCharsets.UTF_8));
      switch (Byte.toUnsignedInt(bytes[offset])) {
        case NFTNL_UDATA_RULE_COMMENT -> userdata = new Userdata(text, userdata.owner);
        case OWNER -> userdata = new Userdata(userdata.comment, text);
        default -> {}
      }
      offset += 2 + length;
    }
    return userdata;
  }
}
