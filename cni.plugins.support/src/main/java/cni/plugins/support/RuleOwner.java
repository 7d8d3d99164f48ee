// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.AttachmentId;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Set;
import java.util.function.BinaryOperator;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Owner tags of rules and links on the host. Network and container names are too long for comments
 * and link names; tags are hashes of them, computed as the reference plugins do (pkg/utils and
 * pkg/ip of containernetworking/plugins).
 */
public final class RuleOwner {
  private static final int HASH_LENGTH = 16;

  private RuleOwner() {}

  /**
   * Returns a name made of a prefix and the hexadecimal SHA-512 of a text, truncated to a length.
   */
  public static String hashedName(int length, String prefix, String text) {
    try {
      byte[] hash =
          MessageDigest.getInstance("SHA-512").digest(text.getBytes(StandardCharsets.UTF_8));
      return (prefix + HexFormat.of().formatHex(hash)).substring(0, length);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every JDK has SHA-512
    }
  }

  /** Returns the tag of a network, which is the prefix of the tags of its attachments. */
  public static String ofNetwork(String network) {
    return hashedName(HASH_LENGTH, "", network) + "-";
  }

  /** Returns the tag of an attachment to a network. */
  public static String of(String network, AttachmentId id) {
    return ofNetwork(network)
        + hashedName(HASH_LENGTH, "", id.interfaceName() + ":" + id.containerId());
  }

  /**
   * Returns a predicate for texts that start with the tag of an attachment to the network that is
   * not valid.
   */
  public static Predicate<String> stale(String network, Set<AttachmentId> valid) {
    String prefix = ofNetwork(network);
    Set<String> owners =
        valid.stream().map(id -> of(network, id)).collect(Collectors.toUnmodifiableSet());
    int length = prefix.length() + HASH_LENGTH;
    return text ->
        text.startsWith(prefix)
            && text.length() >= length
            && !owners.contains(text.substring(0, length));
  }

  /**
   * Returns a predicate for comments that have the network's and the container's name instead of a
   * tag, where the network is the given one and the container has no valid attachment.
   *
   * @param comment returns the comment of a network and a container, which may be truncated
   */
  public static Predicate<String> staleContainer(
      BinaryOperator<String> comment, String network, Set<AttachmentId> valid) {
    Set<String> validComments =
        valid.stream()
            .map(id -> comment.apply(network, id.containerId()))
            .collect(Collectors.toUnmodifiableSet());
    String marker = "|";
    String pattern = comment.apply(network, marker);
    String prefix = pattern.substring(0, Math.max(0, pattern.indexOf(marker)));
    return text -> !prefix.isEmpty() && text.startsWith(prefix) && !validComments.contains(text);
  }
}
