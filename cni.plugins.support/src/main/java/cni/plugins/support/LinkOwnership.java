// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * Deletes an attachment's interface from the container, and decides which interface that is.
 *
 * <p>DEL releases the attachment's addresses afterwards, so an interface that has the name of the
 * request must not stay. It is deleted whatever it looks like: the container can change its
 * hardware address, addresses, alias and name, and the previous result may be that of an earlier
 * boot. By the time of a late DEL, however, the namespace at the path may be the next container's:
 * the interface is kept if the kernel shows that it belongs to another attachment. If only
 * something that the container can write says so, DEL fails: it can neither delete the interface,
 * which may be another container's, nor release addresses that may be in use.
 *
 * <table>
 * <caption>The interface that has the attachment's name in the container</caption>
 * <tr><th>what is there</th><th>decision</th></tr>
 * <tr><td>the plugin's kind of link, linked to another namespace if the kind is, with the hardware
 *     address of the previous result (veth, macvlan) or this attachment's alias</td>
 *     <td>deleted</td></tr>
 * <tr><td>a veth whose end on the host has this attachment's alias, or the hardware address of an
 *     interface that the previous result lists on the host, whatever its name</td>
 *     <td>deleted</td></tr>
 * <tr><td>a veth whose end on the host has another attachment's alias</td><td>kept</td></tr>
 * <tr><td>a link of another kind, and the previous result does not list the interface: ADD may have
 *     failed because the container had it already</td><td>kept</td></tr>
 * <tr><td>a link other than a veth with the alias of another container's attachment of this name,
 *     which the container can write itself</td><td>DEL fails</td></tr>
 * <tr><td>anything else</td><td>deleted; the links below, too</td></tr>
 * <tr><td>no such interface, or one that is kept</td><td>the links below are deleted</td></tr>
 * </table>
 *
 * <p>The links below are those that have other names because the container has renamed them: with
 * this attachment's alias (of a veth, at its end on the host), or without an alias, of the plugin's
 * kind and with the hardware address of the previous result.
 *
 * <p>The first row costs no request beyond that for the interface, and covers an attachment that is
 * as ADD left it.
 */
public final class LinkOwnership {
  private static final String VETH = "veth";

  /** The kinds that exist in one namespace and have a link in another, the host's. */
  private static final Set<String> LINKED_KINDS = Set.of(VETH, "macvlan", "ipvlan", "vlan");

  /** The kinds whose hardware address is their own; the others have that of their parent. */
  private static final Set<String> KINDS_WITH_MAC = Set.of(VETH, "macvlan", "tun", "dummy");

  /** Whose the interface is that has the attachment's name. */
  private enum Owner {
    /** It is this attachment's for certain. */
    THIS,
    /** Nothing shows whose it is. */
    UNKNOWN,
    OTHER
  }

  private final AttachmentRequest request;
  private final NetNsSession host;
  private final NetNsSession container;
  private final String kind;
  private final Result previous;

  /** The attachment's alias; empty if it has none. */
  private final String alias;

  private LinkOwnership(
      AttachmentRequest request, NetNsSession host, NetNsSession container, String kind) {
    this.request = request;
    this.host = host;
    this.container = container;
    this.kind = kind;
    this.previous = request.prevResult().orElse(Result.EMPTY);
    this.alias = AttachmentAlias.ofOrEmpty(request);
  }

  /**
   * Deletes the attachment's interface from the container, if the container's namespace exists.
   *
   * @param kind the kind of link that the plugin creates, as the kernel names it
   * @return whether an interface was deleted that is certain to be the attachment's; if not, the
   *     host's end of a veth may still exist
   * @throws CniException if the namespace cannot be used, the interface is of a kind that cannot be
   *     deleted, or it may be another attachment's
   * @throws IOException if the kernel refuses
   */
  public static boolean deleteInterface(AttachmentRequest request, NetNsSession host, String kind)
      throws CniException, IOException {
    var deleted = new AtomicBoolean();
    NetNsSession.<IOException>runIfPresent(
        request,
        host,
        container -> deleted.set(new LinkOwnership(request, host, container, kind).delete()));
    return deleted.get();
  }

  /**
   * Requires that {@link #deleteInterface} will not refuse an interface that may be another
   * attachment's, for a plugin that releases the addresses before that.
   *
   * @throws CniException code 999 if it will; or if the namespace cannot be used
   * @throws IOException if the kernel cannot be queried
   */
  static void requireUnclaimed(AttachmentRequest request) throws CniException, IOException {
    String name = request.attachment().interfaceName();
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      NetNsSession.<IOException>runIfPresent(
          request,
          host,
          container -> {
            Optional<Link> link = container.rtnetlink().link(name);
            if (link.isPresent()) {
              requireUnclaimed(request, link.get());
            }
          });
    }
  }

  private boolean delete() throws CniException, IOException {
    Optional<Link> link = container.rtnetlink().link(name());
    Owner owner = link.isPresent() ? ownerOf(link.get()) : Owner.UNKNOWN;
    boolean deleted = link.isPresent() && owner != Owner.OTHER && delete(link.get());
    return (deleted && owner == Owner.THIS) || deleteRenamed();
  }

  private boolean delete(Link link) throws CniException, IOException {
    try {
      return BatchedLinkDeletion.delete(host, container, link);
    } catch (NetlinkException e) {
      if (e.is(Errno.EOPNOTSUPP)) {
        throw notDeletable(e);
      }
      throw e;
    }
  }

  private CniException notDeletable(NetlinkException e) {
    return new CniException(
        ErrorCode.INTERNAL,
        ("interface %s in %s is a device that the kernel cannot delete, and not the attachment's %s;"
                + " rename it or move it to another namespace, and repeat DEL: until then the"
                + " addresses of the attachment stay assigned")
            .formatted(name(), request.attachment().sandbox(), kind),
        e);
  }

  /**
   * Decides whose interface has the attachment's name.
   *
   * @throws CniException code 999 if that cannot be decided
   */
  private Owner ownerOf(Link link) throws CniException, IOException {
    if (isAsCreated(link)) {
      return Owner.THIS;
    }
    @Nullable Link hostEnd = hostEnds(List.of(link)).get(link.index());
    if (hostEnd != null) {
      return ownerByHostEnd(hostEnd);
    }
    if (!link.isKind(kind) && !isListed()) {
      return Owner.OTHER;
    }
    requireUnclaimed(request, link);
    return Owner.UNKNOWN;
  }

  /** Requires that a link does not have the alias of another container's attachment. */
  private static void requireUnclaimed(AttachmentRequest request, Link link) throws CniException {
    AttachmentId own = request.attachment().id();
    boolean claimed =
        !link.isKind(VETH)
            && AttachmentAlias.parse(link.alias())
                .map(AttachmentAlias::id)
                .filter(it -> it.interfaceName().equals(own.interfaceName()))
                .filter(it -> !it.containerId().equals(own.containerId()))
                .isPresent();
    if (!claimed) {
      return;
    }
    String sandbox = request.attachment().sandbox();
    throw new CniException(
        ErrorCode.INTERNAL,
        ("interface %s in %s has the alias of another attachment, %s, which the container may have"
                + " written itself; the interface stays, and so do the addresses of container %s."
                + " If %s is now another container's namespace, repeat DEL without CNI_NETNS;"
                + " otherwise delete the interface and repeat DEL")
            .formatted(own.interfaceName(), sandbox, link.alias(), own.containerId(), sandbox));
  }

  /** Whether the previous result lists the interface. */
  private boolean isListed() {
    return previous.find(name(), request.attachment().sandbox()).isPresent();
  }

  /** Whether a link of the attachment's name is what ADD created. */
  private boolean isAsCreated(Link link) {
    return link.isKind(kind) && isLinked(link) && (isMarked(link) || hasPreviousMac(link));
  }

  /** Whether a link can reach another namespace, if links of its kind can. */
  private static boolean isLinked(Link link) {
    return !LINKED_KINDS.contains(link.kind()) || link.linkedNsid() >= 0;
  }

  /** Whether a link has the attachment's alias; that of a veth is at the host's end. */
  private boolean isMarked(Link link) {
    return !link.isKind(VETH) && isThis(link.alias());
  }

  private boolean isThis(String text) {
    return !text.isEmpty() && text.equals(alias);
  }

  /** Whether the hardware address is that of the previous result, and no alias says otherwise. */
  private boolean hasPreviousMac(Link link) {
    String mac =
        previous.find(name(), request.attachment().sandbox()).map(it -> it.mac()).orElse("");
    return KINDS_WITH_MAC.contains(link.kind())
        && !mac.isEmpty()
        && mac.equalsIgnoreCase(link.mac())
        && AttachmentAlias.parse(link.alias()).isEmpty();
  }

  private Owner ownerByHostEnd(Link hostEnd) {
    if (isThis(hostEnd.alias())) {
      return Owner.THIS;
    }
    if (AttachmentAlias.parse(hostEnd.alias()).isPresent()) {
      return Owner.OTHER;
    }
    boolean isListed =
        previous.interfaces().stream()
            .anyMatch(
                it ->
                    it.isOnHost()
                        && !it.mac().isEmpty()
                        && it.mac().equalsIgnoreCase(hostEnd.mac()));
    return isListed ? Owner.THIS : Owner.UNKNOWN;
  }

  /** Returns the ends on the host of those links that are such veths, by the links' indexes. */
  private Map<Integer, Link> hostEnds(List<Link> links) throws IOException {
    List<RouteSocket.VethPeer> veths =
        links.stream()
            .filter(it -> it.isKind(VETH) && isLinked(it))
            .map(it -> new RouteSocket.VethPeer(container.netns(), it))
            .toList();
    if (veths.isEmpty()) {
      return Map.of();
    }
    List<Optional<Link>> ends = host.rtnetlink().hostPeers(veths);
    Map<Integer, Link> byIndex = new HashMap<>();
    for (int i = 0; i < veths.size(); i++) {
      int index = veths.get(i).link().index();
      ends.get(i).ifPresent(end -> byIndex.put(index, end));
    }
    return byIndex;
  }

  /** Deletes the attachment's links that have another name, and returns whether there were any. */
  private boolean deleteRenamed() throws IOException {
    List<Link> links =
        container.rtnetlink().links().stream().filter(it -> !it.name().equals(name())).toList();
    Map<Integer, Link> hostEnds = hostEnds(links);
    boolean deleted = false;
    for (Link link : links) {
      if (isRenamed(link, hostEnds.get(link.index()))) {
        container.deleteLink(link.index());
        deleted = true;
      }
    }
    return deleted;
  }

  private boolean isRenamed(Link link, @Nullable Link hostEnd) {
    if (hostEnd != null && AttachmentAlias.parse(hostEnd.alias()).isPresent()) {
      return isThis(hostEnd.alias());
    }
    return isMarked(link) || (link.isKind(kind) && isLinked(link) && hasPreviousMac(link));
  }

  private String name() {
    return request.attachment().interfaceName();
  }
}
