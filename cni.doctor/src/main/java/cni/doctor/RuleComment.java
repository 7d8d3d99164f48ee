// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.netlink.ffm.nftables.Table;
import cni.runtime.CachedAttachment;
import java.util.Optional;

/**
 * The attachment that a rule belongs to, as its comment names it. The forms are those of the
 * reference plugins:
 *
 * <ul>
 *   <li>{@code TAG, net: NETWORK, if: INTERFACE, id: CONTAINER} for masquerading with nft;
 *   <li>{@code CONTAINER} for published ports with nft;
 *   <li>{@code name: "NETWORK" id: "CONTAINER"}, also after {@code dnat}, with iptables.
 * </ul>
 *
 * @param network the network's name; absent if the comment does not have it
 * @param containerId the container, of which a long comment has only the beginning
 */
record RuleComment(Optional<String> network, String containerId) {
  private static final String MASQUERADE = "cni_plugins_masquerade";
  private static final String PORTS = "cni_hostport";
  private static final String IPTABLES = "nat";

  private static final String ELLIPSIS = "...";

  /** Returns whether a table has rules with such comments. */
  static boolean isIn(Table table) {
    String name = table.name();
    return name.equals(MASQUERADE) || name.equals(PORTS) || name.equals(IPTABLES);
  }

  /** Reads a comment; absent if it does not name an attachment. */
  static Optional<RuleComment> parse(Table table, String comment) {
    return switch (table.name()) {
      case MASQUERADE -> parse(comment, ", net: ", ", if: ", ", id: ", "");
      case PORTS -> Optional.of(new RuleComment(Optional.empty(), comment));
      default -> parse(comment, "name: \"", "\"", " id: \"", "\"");
    };
  }

  private static Optional<RuleComment> parse(
      String comment, String beforeNetwork, String afterNetwork, String beforeId, String afterId) {
    int network = comment.indexOf(beforeNetwork);
    int networkStart = network + beforeNetwork.length();
    int networkEnd = comment.indexOf(afterNetwork, networkStart);
    int id = comment.indexOf(beforeId, Math.max(0, networkEnd));
    if (network < 0 || networkEnd < 0 || id < 0) {
      return Optional.empty();
    }
    int idStart = id + beforeId.length();
    int idEnd = afterId.isEmpty() ? -1 : comment.indexOf(afterId, idStart);
    return Optional.of(
        new RuleComment(
            Optional.of(comment.substring(networkStart, networkEnd)),
            comment.substring(idStart, idEnd < 0 ? comment.length() : idEnd)));
  }

  /** Returns whether this names the container of an attachment. */
  boolean names(CachedAttachment attachment) {
    String beginning =
        containerId.endsWith(ELLIPSIS)
            ? containerId.substring(0, containerId.length() - ELLIPSIS.length())
            : containerId;
    return (network.isEmpty() || network.get().equals(attachment.network()))
        && attachment.attachment().containerId().startsWith(beginning);
  }
}
