package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Deletes an attachment's interface from the container, and decides which interface that is.
 *
 * <p>DEL releases the attachment's addresses afterwards, so an interface that has the name of the
 * request must not stay. It is deleted whatever it looks like: the container can change its
 * hardware address, addresses, alias and name, and the previous result may be that of an earlier
 * boot. It is kept only if the kernel or the ipam plugin shows now that it belongs to another
 * attachment: by the time of a late DEL the namespace at the path may be the next container's.
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
 * <tr><td>another link with another attachment's alias, to which the ipam plugin has assigned an
 *     address, as its CHECK confirms: a container could write the alias itself</td>
 *     <td>kept</td></tr>
 * <tr><td>a link of another kind, and the previous result does not list the interface: ADD may have
 *     failed because the container had it already</td><td>kept</td></tr>
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

  /** Written by the thread that deletes the batch, read after the batch. */
  private Owner owner = Owner.UNKNOWN;

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
   * @throws CniException if the namespace cannot be used, or the interface is of a kind that cannot
   *     be deleted
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
   * Requires that an interface with the attachment's name that DEL leaves in the container is not
   * the attachment's: its addresses are about to be released.
   *
   * @param reason why it was not removed, for the message
   * @throws CniException code 999 if it may be the attachment's
   * @throws IOException if the kernel cannot be queried
   */
  public static void requireNotLeft(
      AttachmentRequest request, NetNsSession host, NetNsSession container, String reason)
      throws CniException, IOException {
    String name = request.attachment().interfaceName();
    Optional<Link> link = container.rtnetlink().link(name);
    if (link.isEmpty()) {
      return;
    }
    var ownership = new LinkOwnership(request, host, container, link.get().kind());
    if (ownership.isListed() && ownership.ownerOf(link.get()) != Owner.OTHER) {
      throw new CniException(
          ErrorCode.INTERNAL,
          "interface %s in %s %s; its addresses stay assigned until it is removed"
              .formatted(name, request.attachment().sandbox(), reason));
    }
  }

  private boolean delete() throws CniException, IOException {
    boolean deleted;
    try {
      deleted = BatchedLinkDeletion.delete(host, container, this::find);
    } catch (NetlinkException e) {
      if (e.is(Errno.EOPNOTSUPP)) {
        throw notDeletable(e);
      }
      throw e;
    }
    if (deleted && owner == Owner.THIS) {
      return true;
    }
    return deleteRenamed();
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

  private Optional<Link> find() throws CniException, IOException {
    Optional<Link> link = container.rtnetlink().link(name());
    owner = link.isPresent() ? ownerOf(link.get()) : Owner.UNKNOWN;
    return owner == Owner.OTHER ? Optional.empty() : link;
  }

  private Owner ownerOf(Link link) throws CniException, IOException {
    if (isAsCreated(link)) {
      return Owner.THIS;
    }
    Optional<Link> hostEnd = hostEnds(List.of(link)).getFirst();
    if (hostEnd.isPresent()) {
      return ownerByHostEnd(hostEnd.get());
    }
    if (!link.isKind(kind) && !isListed()) {
      return Owner.OTHER;
    }
    Optional<AttachmentAlias> claimed = AttachmentAlias.parse(link.alias());
    boolean isOthers =
        claimed.isPresent()
            && !isThis(link.alias())
            && claimed.get().id().interfaceName().equals(name())
            && Ipam.hasAssigned(request, claimed.get());
    return isOthers ? Owner.OTHER : Owner.UNKNOWN;
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

  /** Returns the ends on the host of links of the container; empty for what is no such veth. */
  private List<Optional<Link>> hostEnds(List<Link> links) throws IOException {
    List<RouteSocket.VethPeer> ends = new ArrayList<>();
    for (Link link : links) {
      if (link.isKind(VETH) && isLinked(link)) {
        ends.add(new RouteSocket.VethPeer(container.netns(), link));
      }
    }
    List<Optional<Link>> found = ends.isEmpty() ? List.of() : host.rtnetlink().hostPeers(ends);
    return links.stream()
        .map(
            link -> {
              int i = ends.stream().map(RouteSocket.VethPeer::link).toList().indexOf(link);
              return i < 0 ? Optional.<Link>empty() : found.get(i);
            })
        .toList();
  }

  /** Deletes the attachment's links that have another name, and returns whether there were any. */
  private boolean deleteRenamed() throws IOException {
    List<Link> links =
        container.rtnetlink().links().stream().filter(it -> !it.name().equals(name())).toList();
    List<Optional<Link>> hostEnds = hostEnds(links);
    boolean deleted = false;
    for (int i = 0; i < links.size(); i++) {
      if (isRenamed(links.get(i), hostEnds.get(i))) {
        container
            .rtnetlink()
            .executeIgnoring(LinkRequests.delete(links.get(i).index()), Errno.ENODEV);
        deleted = true;
      }
    }
    return deleted;
  }

  private boolean isRenamed(Link link, Optional<Link> hostEnd) {
    if (hostEnd.isPresent() && AttachmentAlias.parse(hostEnd.get().alias()).isPresent()) {
      return isThis(hostEnd.get().alias());
    }
    return isMarked(link) || (link.isKind(kind) && isLinked(link) && hasPreviousMac(link));
  }

  private String name() {
    return request.attachment().interfaceName();
  }
}
