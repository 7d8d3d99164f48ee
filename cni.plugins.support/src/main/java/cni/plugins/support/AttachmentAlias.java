// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Names;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.LinkRequests;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * The alias (IFLA_IFALIAS) of an interface that a plugin created, which names the attachment:
 * {@code cni:<network>/<containerID>/<ifname>}. A veth has it at the host's end, where the
 * container cannot change it, every other interface in the container. {@link LinkOwnership} reads
 * it; {@code ip link} shows it.
 *
 * @param network the network's name
 * @param id the attachment's id
 */
public record AttachmentAlias(String network, AttachmentId id) {
  private static final String PREFIX = "cni:";

  /** IFALIASZ - 1 of linux/if.h: the largest length in bytes. */
  private static final int MAX_LENGTH = 255;

  private static final int PARTS = 3;

  /** Returns the alias of the request's attachment; empty if it would be too long. */
  static String of(AttachmentRequest request) throws CniException {
    var alias = new AttachmentAlias(request.config().network(), request.attachment().id());
    String text = alias.toString();
    return text.getBytes(StandardCharsets.UTF_8).length <= MAX_LENGTH ? text : "";
  }

  /** Returns the alias as {@link #of}; empty if the configuration has no network name, too. */
  static String ofOrEmpty(AttachmentRequest request) {
    try {
      return of(request);
    } catch (CniException e) {
      return ""; // reported by ADD, and no reason to keep an interface on DEL
    }
  }

  /**
   * Returns the request that gives an interface the attachment's alias.
   *
   * @param link the interface's name
   * @throws CniException code 7 if the configuration has no network name
   */
  public static NetlinkRequest request(AttachmentRequest request, String link) throws CniException {
    return LinkRequests.setAlias(link, of(request));
  }

  /** Reads an alias; empty if it does not name an attachment. */
  static Optional<AttachmentAlias> parse(String alias) {
    if (!alias.startsWith(PREFIX)) {
      return Optional.empty();
    }
    String[] parts = alias.substring(PREFIX.length()).split("/", -1);
    if (parts.length != PARTS) {
      return Optional.empty();
    }
    var id = new AttachmentId(parts[1], parts[2]);
    try { // the container may have written it
      Names.requireNetworkName(parts[0]);
      Attachment.requireValid(id);
    } catch (CniException e) {
      return Optional.empty();
    }
    return Optional.of(new AttachmentAlias(parts[0], id));
  }

  @Override
  public String toString() {
    return PREFIX + network + "/" + id.containerId() + "/" + id.interfaceName();
  }
}
