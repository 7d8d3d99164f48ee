package cni.netlink.ffm.nftables;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What a rule carries that the kernel does not read: attributes of one byte for the type, one for
 * the length, and a value (NFTA_RULE_USERDATA; libnftnl/udata.h).
 *
 * @param comment what nft shows as the rule's comment
 * @param owner whom the rule belongs to. It is kept under a type that nft and iptables do not know
 *     and pass over, so that a listing is the same with and without
 */
public record Userdata(Optional<String> comment, Optional<String> owner) {
  /** Neither. */
  public static final Userdata NONE = new Userdata(Optional.empty(), Optional.empty());

  /** nft takes no comment that is longer, in bytes. */
  public static final int MAX_COMMENT_BYTES = 128;

  private static final int NFTNL_UDATA_RULE_COMMENT = 0;
  private static final int OWNER = 0xc1;
  private static final int MAX_VALUE_BYTES = 255;

  /** A comment alone. */
  public static Userdata comment(String text) {
    return new Userdata(Optional.of(text), Optional.empty());
  }

  /** The same with an owner. */
  public Userdata withOwner(String name) {
    return new Userdata(comment, Optional.of(name));
  }

  /** Cuts what is too long for a comment. */
  public static String truncateComment(String comment) {
    byte[] bytes = comment.getBytes(StandardCharsets.UTF_8);
    int end = Math.min(bytes.length, MAX_COMMENT_BYTES);
    while (end < bytes.length && (bytes[end] & 0xc0) == 0x80) {
      end--; // not in the middle of a character
    }
    return new String(bytes, 0, end, StandardCharsets.UTF_8);
  }

  // A record's own methods are spun when first used, which takes a process some milliseconds.

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Userdata it && comment.equals(it.comment) && owner.equals(it.owner);
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

  /** Reads what any program has written, which need not have this form. */
  static Userdata read(byte[] bytes) {
    Userdata userdata = NONE;
    int at = 0;
    while (at + 2 <= bytes.length) {
      int length = Byte.toUnsignedInt(bytes[at + 1]);
      if (at + 2 + length > bytes.length) {
        return NONE;
      }
      int end = length > 0 && bytes[at + 1 + length] == 0 ? length - 1 : length;
      Optional<String> text = Optional.of(new String(bytes, at + 2, end, StandardCharsets.UTF_8));
      switch (Byte.toUnsignedInt(bytes[at])) {
        case NFTNL_UDATA_RULE_COMMENT -> userdata = new Userdata(text, userdata.owner);
        case OWNER -> userdata = new Userdata(userdata.comment, text);
        default -> {}
      }
      at += 2 + length;
    }
    return userdata;
  }
}
