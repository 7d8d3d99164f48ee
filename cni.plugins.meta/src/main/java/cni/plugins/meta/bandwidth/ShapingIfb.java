// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.bandwidth;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkSpec;
import cni.netlink.ffm.route.Mac;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RuleOwner;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * The host-side IFB device that the container's egress is redirected through. Its name is the
 * reference plugin's, a hash of the network and the container; a second interface of the container
 * on the same network, which the reference plugin does not support, gets a fallback name. The
 * device's alias names its attachment.
 *
 * @param name the reference plugin's name
 * @param fallbackName the name if another attachment's device has the first
 * @param owner the attachment, written as the alias
 */
record ShapingIfb(String name, String fallbackName, String owner) {
  private static final String PREFIX = "bwp";
  private static final int NAME_LENGTH = 15;

  /** Returns the names for an attachment to a network. */
  static ShapingIfb of(String network, AttachmentId id) {
    String text = network + id.containerId();
    return new ShapingIfb(
        RuleOwner.hashedName(NAME_LENGTH, PREFIX, text),
        RuleOwner.hashedName(NAME_LENGTH, PREFIX, text + "/" + id.interfaceName()),
        RuleOwner.of(network, id));
  }

  /**
   * Creates the device and sets it up. A device that an interrupted ADD left is replaced.
   *
   * @param mtu in bytes
   * @param queueLength in packets
   * @throws CniException code 999 if other devices have both names
   */
  Link create(NetNsSession host, int mtu, int queueLength) throws CniException, IOException {
    delete(host);
    for (String candidate : List.of(name, fallbackName)) {
      LinkSpec link = LinkSpec.of("ifb", candidate).mtu(mtu).txQueueLength(queueLength).up();
      if (host.rtnetlink().executeIgnoring(link.request(), Errno.EEXIST)) {
        return withAlias(host, candidate);
      }
    }
    throw namesTaken();
  }

  private Link withAlias(NetNsSession host, String candidate) throws IOException {
    Link ifb = host.rtnetlink().links(candidate).getFirst();
    host.rtnetlink().execute(LinkRequests.setAlias(ifb.index(), owner));
    return ifb;
  }

  private CniException namesTaken() {
    return new CniException(
        ErrorCode.INTERNAL,
        "interfaces %s and %s exist already on the host; delete them if they are not used"
            .formatted(name, fallbackName));
  }

  /**
   * Returns the name that a new device gets.
   *
   * @throws CniException code 999 if other devices have both names
   */
  String freeName(NetNsSession host) throws CniException, IOException {
    for (String candidate : List.of(name, fallbackName)) {
      if (host.rtnetlink().link(candidate).isEmpty()) {
        return candidate;
      }
    }
    throw namesTaken();
  }

  /**
   * Creates the device again, or the one that the result names, and sets it up.
   *
   * @param ifb its name and hardware address
   * @param mtu in bytes
   * @param queueLength in packets
   */
  Link create(NetNsSession host, Result.Interface ifb, int mtu, int queueLength)
      throws IOException {
    LinkSpec spec = LinkSpec.of("ifb", ifb.name()).mtu(mtu).txQueueLength(queueLength).up();
    host.rtnetlink().execute(spec.mac(Mac.parse(ifb.mac())).request());
    return withAlias(host, ifb.name());
  }

  /** Returns whether an interface of a result is the device. */
  boolean isIn(Result.Interface it) {
    return it.isOnHost() && (it.name().equals(name) || it.name().equals(fallbackName));
  }

  /** Finds the device. One without an alias was created by the reference plugin. */
  Optional<Link> find(NetNsSession host) throws IOException {
    for (String candidate : List.of(name, fallbackName)) {
      Optional<Link> link = host.rtnetlink().link(candidate).filter(it -> it.isKind("ifb"));
      if (link.filter(it -> it.alias().isEmpty() || it.alias().equals(owner)).isPresent()) {
        return link;
      }
    }
    return Optional.empty();
  }

  /** Deletes the device if it exists. */
  void delete(NetNsSession host) throws IOException {
    Optional<Link> link = find(host);
    if (link.isPresent()) {
      host.deleteLink(link.get().index());
    }
  }

  /** Deletes the devices of the network's attachments that are not valid. */
  static void deleteStale(NetNsSession host, String network, Set<AttachmentId> valid)
      throws IOException {
    Predicate<String> isStale = RuleOwner.stale(network, valid);
    for (Link link : host.rtnetlink().links()) {
      if (link.isKind("ifb") && link.name().startsWith(PREFIX) && isStale.test(link.alias())) {
        host.deleteLink(link.index());
      }
    }
  }
}
