package cni.plugins.support;

import cni.api.AttachmentId;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * How rules and links on the host tell whom they belong to where names are too long for it: by
 * hashes, those of the reference plugins (pkg/utils and pkg/ip of containernetworking/plugins).
 */
public final class RuleOwner {
  private static final int HASH_LENGTH = 16;

  private RuleOwner() {}

  /**
   * A name of that length, of a prefix and as much of the text's SHA-512 in hexadecimal as fits.
   */
  public static String hashedName(int length, String prefix, String text) {
    try {
      byte[] hash =
          MessageDigest.getInstance("SHA-512").digest(text.getBytes(StandardCharsets.UTF_8));
      return (prefix + HexFormat.of().formatHex(hash)).substring(0, length);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java has it, at the latest from version 8
    }
  }

  /** What stands for a network; that of each of its attachments begins so. */
  public static String ofNetwork(String network) {
    return hashedName(HASH_LENGTH, "", network) + "-";
  }

  /** What stands for an attachment to a network. */
  public static String of(String network, AttachmentId id) {
    return ofNetwork(network)
        + hashedName(HASH_LENGTH, "", id.interfaceName() + ":" + id.containerId());
  }

  /** Tells those that belong to the network and to none of the valid attachments. */
  public static Predicate<String> stale(String network, Set<AttachmentId> valid) {
    String prefix = ofNetwork(network);
    Set<String> owners =
        valid.stream().map(id -> of(network, id)).collect(Collectors.toUnmodifiableSet());
    int length = prefix.length() + HASH_LENGTH;
    return owner ->
        owner.startsWith(prefix)
            && owner.length() >= length
            && !owners.contains(owner.substring(0, length));
  }

  /**
   * Tells the comments, of those that name a container instead, that belong to the network and to
   * the container of none of the valid attachments.
   *
   * @param comment the form of the comments, with the network and the container as its groups
   */
  public static Predicate<String> staleContainer(
      Pattern comment, String network, Set<AttachmentId> valid) {
    Set<String> containers =
        valid.stream().map(AttachmentId::containerId).collect(Collectors.toUnmodifiableSet());
    return text -> {
      Matcher words = comment.matcher(text);
      return words.matches()
          && words.group(1).equals(network)
          && !containers.contains(words.group(2));
    };
  }
}
