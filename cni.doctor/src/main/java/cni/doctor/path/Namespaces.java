// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.doctor.NamespaceName;
import cni.doctor.RemedyText;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.RouteSocket;
import cni.runtime.CachedAttachment;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The namespaces that a packet may pass: the host's, those of the ends of its path, and those of
 * containers, which are opened when one of their addresses turns up.
 */
final class Namespaces implements AutoCloseable {
  private final Map<NetNs.Identity, NamespaceView> views = new LinkedHashMap<>();
  private final List<CachedAttachment> attachments;
  private final IntegrityCheck check;
  private final NamespaceView host;

  /** A link of a namespace. */
  record NamespaceLink(NamespaceView view, Link link) {}

  /**
   * Opens the host's namespace.
   *
   * @param hostPath the path of the namespace; empty for that of this process
   * @param check compares attachments with what ADD made
   */
  Namespaces(Optional<Path> hostPath, List<CachedAttachment> attachments, IntegrityCheck check)
      throws IOException {
    this.attachments = attachments;
    this.check = check;
    NetNs netns = hostPath.isEmpty() ? NetNs.current() : NetNs.open(hostPath.get());
    host = add("host", hostPath, netns);
  }

  private NamespaceView add(String name, Optional<Path> path, NetNs netns) throws IOException {
    NetNs.Identity identity = netns.identity();
    NamespaceView known = views.get(identity);
    if (known != null) {
      netns.close();
      return known;
    }
    NamespaceView view = NamespaceView.open(name, path, netns);
    views.put(identity, view);
    return view;
  }

  NamespaceView host() {
    return host;
  }

  /** Returns the namespaces that have been opened. */
  List<NamespaceView> all() {
    return List.copyOf(views.values());
  }

  /** Returns the namespace of an end; empty for an address outside and for one that is gone. */
  Optional<NamespaceView> of(PathEnd end) throws IOException {
    return switch (end) {
      case PathEnd.Host _ -> Optional.of(host);
      case PathEnd.Outside _ -> Optional.empty();
      case PathEnd.Namespace it -> open(it.name(), it.path());
    };
  }

  private Optional<NamespaceView> open(String name, Path path) throws IOException {
    Optional<NetNs> netns = NetNs.openIfPresent(path);
    return netns.isEmpty()
        ? Optional.empty()
        : Optional.of(add(name, Optional.of(path), netns.get()));
  }

  /** Returns the link that has an address: of the namespaces known, or of a container. */
  Optional<NamespaceLink> owner(InetAddress address) throws IOException {
    Optional<NamespaceLink> known = ownerAmongKnown(address);
    if (known.isPresent()) {
      return known;
    }
    Optional<CachedAttachment> stored = attachment(address);
    return stored.isPresent() && of(stored.get()).isPresent()
        ? ownerAmongKnown(address)
        : Optional.empty();
  }

  /** Returns the attachment that an address is stored for; empty if there is none. */
  Optional<CachedAttachment> attachment(InetAddress address) {
    return attachments.stream().filter(it -> addresses(it).contains(address)).findFirst();
  }

  /** Returns the attachment whose result lists a link of the host; empty if there is none. */
  Optional<CachedAttachment> attachmentOf(String hostLink) {
    return attachments.stream().filter(it -> hostLinks(it).contains(hostLink)).findFirst();
  }

  /** Returns the attachment that has an address as its gateway; empty if none has. */
  Optional<CachedAttachment> attachmentBehind(InetAddress gateway) {
    return attachments.stream()
        .filter(it -> ips(it).stream().anyMatch(ip -> ip.gateway().equals(Optional.of(gateway))))
        .findFirst();
  }

  /** Returns the attachment that publishes the port of a query; empty if none does. */
  Optional<CachedAttachment> publisher(PathQuery query) {
    return attachments.stream().filter(it -> PublishedTarget.of(it, query).isPresent()).findFirst();
  }

  /** An attachment that publishes a port on one address of the host. */
  record Publisher(CachedAttachment attachment, InetAddress hostIp) {}

  /** Returns who publishes the port of a query on another address only; empty if nobody does. */
  Optional<Publisher> publisherElsewhere(PathQuery query) {
    for (CachedAttachment it : attachments) {
      Optional<InetAddress> hostIp = PublishedTarget.otherHostIp(it, query);
      if (hostIp.isPresent()) {
        return Optional.of(new Publisher(it, hostIp.get()));
      }
    }
    return Optional.empty();
  }

  /** Returns the attachments of a namespace. */
  List<CachedAttachment> attachmentsOf(NamespaceView view) throws IOException {
    List<CachedAttachment> found = new ArrayList<>();
    for (CachedAttachment it : attachments) {
      if (of(it).filter(view::equals).isPresent()) {
        found.add(it);
      }
    }
    return found;
  }

  /**
   * Returns an attachment of the namespaces that have been opened that is not as ADD made it; empty
   * if all are.
   */
  Optional<CachedAttachment> damaged() throws IOException {
    for (NamespaceView view : all()) {
      for (CachedAttachment it : attachmentsOf(view)) {
        if (!check.isIntact(it)) {
          return Optional.of(it);
        }
      }
    }
    return Optional.empty();
  }

  /** Returns the namespace of an attachment; empty if it is gone. */
  Optional<NamespaceView> of(CachedAttachment cached) throws IOException {
    Optional<Path> path = cached.attachment().namespace();
    return path.isEmpty() ? Optional.empty() : open(name(cached), path.get());
  }

  private Optional<NamespaceLink> ownerAmongKnown(InetAddress address) throws IOException {
    for (NamespaceView view : all()) {
      Optional<Link> link = view.owner(address);
      if (link.isPresent()) {
        return Optional.of(new NamespaceLink(view, link.get()));
      }
    }
    return Optional.empty();
  }

  /** Returns the other end of a veth pair; empty if it is in a namespace that is not known. */
  Optional<NamespaceLink> peer(NamespaceView view, Link link) throws IOException {
    for (NamespaceView other : all()) {
      if (other == view) {
        Optional<Link> peer = view.routes().link(link.linkedIndex());
        boolean isPair = link.linkedNsid() < 0 && peer.filter(it -> it.isKind("veth")).isPresent();
        if (isPair && peer.get().linkedIndex() == link.index()) {
          return Optional.of(new NamespaceLink(view, peer.get()));
        }
        continue;
      }
      var end = new RouteSocket.VethPeer(view.netns(), link);
      Optional<Link> peer = other.routes().hostPeers(List.of(end)).getFirst();
      if (peer.isPresent()) {
        return Optional.of(new NamespaceLink(other, peer.get()));
      }
    }
    return Optional.empty();
  }

  /** Returns the name of an attachment in reports. */
  static String name(CachedAttachment cached) {
    return cached.network() + "/" + NamespaceName.ofContainer(cached.attachment());
  }

  /** Returns the command that restores an attachment. */
  static String repairCommand(CachedAttachment cached) {
    return "cni repair " + arguments(cached);
  }

  /** Returns the command that adds an attachment again that has lost its interface. */
  static String recreateCommand(CachedAttachment cached) {
    return "cni update " + arguments(cached) + " --recreate";
  }

  private static String arguments(CachedAttachment cached) {
    String id = "--container-id " + cached.attachment().containerId();
    return cached.network()
        + " "
        + cached.attachment().namespace().map(RemedyText::quoted).orElse(id);
  }

  /** Returns the addresses of an attachment; none if its result cannot be read. */
  static List<InetAddress> addresses(CachedAttachment cached) {
    return ips(cached).stream().map(ip -> ip.address().address()).toList();
  }

  /** Returns the addresses of an attachment with their gateways, as {@link #addresses}. */
  static List<Result.IpConfig> ips(CachedAttachment cached) {
    try {
      return cached.result().ips();
    } catch (CniException e) {
      return List.of(); // another program's result; its container is found by other means
    }
  }

  /** Returns whether the packets of an attachment are masqueraded. */
  static boolean isMasqueraded(CachedAttachment cached) {
    try {
      for (PluginConfig plugin : cached.config().plugins()) {
        if (plugin.view().bool("ipMasq")) {
          return true;
        }
      }
      return false;
    } catch (CniException e) {
      return false; // not stored by an old libcni, or invalid
    }
  }

  /** Returns the destinations of the routes of an attachment, as {@link #addresses}. */
  static List<Cidr> routes(CachedAttachment cached) {
    try {
      return cached.result().routes().stream().map(it -> it.destination()).toList();
    } catch (CniException e) {
      return List.of();
    }
  }

  /**
   * Returns the names of the host's links in the result of an attachment, as {@link #addresses}.
   */
  static List<String> hostLinks(CachedAttachment cached) {
    try {
      return cached.result().interfaces().stream()
          .filter(Result.Interface::isOnHost)
          .map(Result.Interface::name)
          .toList();
    } catch (CniException e) {
      return List.of();
    }
  }

  @Override
  public void close() {
    views.values().forEach(NamespaceView::close);
  }
}
