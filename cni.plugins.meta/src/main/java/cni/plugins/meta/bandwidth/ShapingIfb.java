package cni.plugins.meta.bandwidth;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkSpec;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RuleOwner;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * The ifb on the host that what a container sends goes through. Its name is the reference plugin's,
 * made of the network and the container alone; a second interface of the container on the network,
 * which that cannot serve, gets another. Whose it is stands in its alias.
 *
 * @param name the usual name
 * @param fallbackName the name if another attachment has the usual one
 * @param owner the attachment
 */
record ShapingIfb(String name, String fallbackName, String owner) {
  private static final String PREFIX = "bwp";
  private static final int NAME_LENGTH = 15;

  /** That of an attachment to a network. */
  static ShapingIfb of(String network, AttachmentId id) {
    String text = network + id.containerId();
    return new ShapingIfb(
        RuleOwner.hashedName(NAME_LENGTH, PREFIX, text),
        RuleOwner.hashedName(NAME_LENGTH, PREFIX, text + "/" + id.interfaceName()),
        RuleOwner.of(network, id));
  }

  /**
   * Makes it. One that an ADD that was killed has left is replaced.
   *
   * @param queueLength how many packets may wait in it
   */
  Link create(NetNsSession host, int mtu, int queueLength) throws CniException, IOException {
    delete(host);
    for (String candidate : List.of(name, fallbackName)) {
      LinkSpec link = LinkSpec.of("ifb", candidate).mtu(mtu).txQueueLength(queueLength).up();
      if (host.rtnetlink().executeIgnoring(link.request(), Errno.EEXIST)) {
        Link ifb = host.rtnetlink().links(candidate).getFirst();
        host.rtnetlink().execute(LinkRequests.setAlias(ifb.index(), owner));
        return ifb;
      }
    }
    throw new CniException(
        ErrorCode.INTERNAL,
        "interfaces %s and %s exist already on the host; delete them if nothing needs them"
            .formatted(name, fallbackName));
  }

  /** The one that is there. The reference plugin writes no owner on it. */
  Optional<Link> find(NetNsSession host) throws IOException {
    for (String candidate : List.of(name, fallbackName)) {
      Optional<Link> link = host.rtnetlink().link(candidate).filter(it -> it.isKind("ifb"));
      if (link.filter(it -> it.alias().isEmpty() || it.alias().equals(owner)).isPresent()) {
        return link;
      }
    }
    return Optional.empty();
  }

  /** Deletes it if it is there. */
  void delete(NetNsSession host) throws IOException {
    Optional<Link> link = find(host);
    if (link.isPresent()) {
      delete(host, link.get());
    }
  }

  private static void delete(NetNsSession host, Link link) throws IOException {
    host.rtnetlink().executeIgnoring(LinkRequests.delete(link.index()), Errno.ENODEV);
  }

  /** Deletes those of attachments to a network that are not valid. */
  static void deleteStale(NetNsSession host, String network, Set<AttachmentId> valid)
      throws IOException {
    Predicate<String> stale = RuleOwner.stale(network, valid);
    for (Link link : host.rtnetlink().links()) {
      if (link.isKind("ifb") && link.name().startsWith(PREFIX) && stale.test(link.alias())) {
        delete(host, link);
      }
    }
  }
}
