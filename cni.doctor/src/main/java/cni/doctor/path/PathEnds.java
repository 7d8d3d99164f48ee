// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.internal.Suggestions;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.RouteSocket;
import cni.runtime.CachedAttachment;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The ends of paths as people name them: {@code host}, a container by its id or {@code
 * NETWORK/CONTAINER}, a network namespace by its name or path, or an address.
 */
public final class PathEnds {
  private static final String HOST = "host";

  private final Optional<Path> hostNamespace;
  private final List<CachedAttachment> attachments;
  private final Function<String, Path> namespaces;

  /**
   * Creates a resolver of names.
   *
   * @param hostNamespace the path of the host's network namespace; empty for that of this process
   * @param attachments the containers, {@link cni.runtime.Cni#attachments}
   * @param namespaces returns the path of a namespace that is given by its name or path, whether or
   *     not it exists
   */
  public PathEnds(
      Optional<Path> hostNamespace,
      List<CachedAttachment> attachments,
      Function<String, Path> namespaces) {
    this.hostNamespace = hostNamespace;
    this.attachments = List.copyOf(attachments);
    this.namespaces = namespaces;
  }

  /**
   * Returns the end with a name.
   *
   * @throws CniException code 4 if nothing has that name, or several containers have it; code 5 if
   *     the kernel cannot be asked
   */
  public PathEnd parse(String name) throws CniException {
    if (name.equals(HOST)) {
      return new PathEnd.Host();
    }
    Optional<InetAddress> address = address(name);
    if (address.isPresent()) {
      return ofAddress(address.get());
    }
    List<CachedAttachment> named = named(name);
    if (!named.isEmpty()) {
      return container(name, named);
    }
    return namespace(name, namespaces.apply(name));
  }

  /** Returns a namespace, which may be that of an attachment and be gone. */
  private PathEnd namespace(String name, Path path) throws CniException {
    // What an attachment has lost is of interest, and what no attachment has given it.
    Set<InetAddress> addresses = new LinkedHashSet<>();
    attachments.stream()
        .filter(it -> it.attachment().namespace().equals(Optional.of(path)))
        .forEach(it -> addresses.addAll(Namespaces.addresses(it)));
    try (NetNs netns = NetNs.open(path)) {
      addresses.addAll(globalAddresses(netns));
    } catch (IOException e) {
      if (addresses.isEmpty()) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "%s is no container, address or network namespace, nor \"host\": %s"
                .formatted(
                    name, Suggestions.didYouMean(name, names()).orElseGet(this::containers)));
      }
    }
    return new PathEnd.Namespace(name, path, List.copyOf(addresses));
  }

  private String containers() {
    TreeSet<String> names =
        attachments.stream().map(Namespaces::name).collect(Collectors.toCollection(TreeSet::new));
    return names.isEmpty()
        ? "there are no containers"
        : "containers are " + String.join(", ", names);
  }

  /** Returns all names but addresses: of namespaces, and of containers in every form. */
  private Set<String> names() {
    Set<String> names = new TreeSet<>(List.of(HOST));
    for (CachedAttachment it : attachments) {
      names.add(it.attachment().containerId());
      names.add(Namespaces.name(it));
    }
    try (Stream<Path> files = Files.list(NetNs.RUN_DIRECTORY)) {
      files.forEach(file -> names.add(String.valueOf(file.getFileName())));
    } catch (IOException e) {
      return names; // there are no named namespaces
    }
    return names;
  }

  /** Returns the address that a source given as an address sends from; empty for a name. */
  public Optional<InetAddress> sourceAddress(String source) {
    return address(source);
  }

  private static Optional<InetAddress> address(String text) {
    try {
      return Optional.of(InetAddresses.parse(text));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  private PathEnd ofAddress(InetAddress address) throws CniException {
    for (CachedAttachment it : attachments) {
      Optional<Path> path = it.attachment().namespace();
      if (path.isPresent() && Namespaces.addresses(it).contains(address)) {
        return new PathEnd.Namespace(Namespaces.name(it), path.get(), List.of(address));
      }
    }
    return hostAddresses().stream().anyMatch(it -> it.address().equals(address))
        ? new PathEnd.Host()
        : new PathEnd.Outside(address);
  }

  /**
   * Finds containers by NETWORK/CONTAINER, by their ids, or by the beginning of an id. CONTAINER is
   * the id or the name in reports.
   */
  private List<CachedAttachment> named(String name) {
    List<CachedAttachment> exact = attachments.stream().filter(it -> isNamed(it, name)).toList();
    return exact.isEmpty() && name.indexOf('/') < 0
        ? attachments.stream().filter(it -> it.attachment().containerId().startsWith(name)).toList()
        : exact;
  }

  private static boolean isNamed(CachedAttachment cached, String name) {
    String id = cached.attachment().containerId();
    return id.equals(name)
        || name.equals(cached.network() + "/" + id)
        || name.equals(Namespaces.name(cached));
  }

  /** The attachments of one container share its namespace. */
  private static PathEnd container(String name, List<CachedAttachment> named) throws CniException {
    CachedAttachment first = named.getFirst();
    String id = first.attachment().containerId();
    if (!named.stream().allMatch(it -> it.attachment().containerId().equals(id))) {
      TreeSet<String> names =
          named.stream().map(Namespaces::name).collect(Collectors.toCollection(TreeSet::new));
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          name + " is the beginning of several containers: " + String.join(", ", names));
    }
    Path path =
        first
            .attachment()
            .namespace()
            .orElseThrow(
                () ->
                    new CniException(
                        ErrorCode.INVALID_PARAMETER,
                        "no network namespace is stored for " + Namespaces.name(first)));
    List<InetAddress> addresses = new ArrayList<>();
    named.forEach(it -> addresses.addAll(Namespaces.addresses(it)));
    return new PathEnd.Namespace(Namespaces.name(first), path, addresses);
  }

  /**
   * Returns the addresses by which a source would reach a destination: of a container all, of the
   * host one of each family. Families that the source does not have are left out.
   *
   * @throws CniException code 4 if there are none; code 5 if the kernel cannot be asked
   */
  public List<InetAddress> addresses(PathEnd source, PathEnd destination) throws CniException {
    List<InetAddress> own = ownAddresses(source);
    List<InetAddress> all =
        switch (destination) {
          case PathEnd.Outside it -> List.of(it.address());
          case PathEnd.Namespace it -> it.addresses();
          case PathEnd.Host _ -> towards(own);
        };
    List<InetAddress> common =
        all.stream()
            .filter(
                it ->
                    own.isEmpty()
                        || own.stream().anyMatch(mine -> IpFamily.of(mine) == IpFamily.of(it)))
            .toList();
    if (common.isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          all.isEmpty()
              ? destination.name() + " has no address"
              : source.name() + " and " + destination.name() + " have no IP version in common");
    }
    return common;
  }

  private static List<InetAddress> ownAddresses(PathEnd source) {
    return switch (source) {
      case PathEnd.Outside it -> List.of(it.address());
      case PathEnd.Namespace it -> it.addresses();
      case PathEnd.Host _ -> List.of();
    };
  }

  /** Returns an address of the host for each family, on a network of the source if possible. */
  private List<InetAddress> towards(List<InetAddress> sources) throws CniException {
    List<InterfaceAddress> all = hostAddresses();
    List<InetAddress> chosen = new ArrayList<>();
    for (IpFamily family : IpFamily.values()) {
      List<InterfaceAddress> ofFamily =
          all.stream().filter(it -> IpFamily.of(it.address()) == family).toList();
      ofFamily.stream()
          .filter(it -> sources.stream().anyMatch(source -> isOnNetwork(source, it)))
          .findFirst()
          .or(() -> ofFamily.stream().findFirst())
          .ifPresent(it -> chosen.add(it.address()));
    }
    return chosen;
  }

  private static boolean isOnNetwork(InetAddress address, InterfaceAddress network) {
    return IpFamily.of(address) == IpFamily.of(network.address())
        && new Cidr(network.address(), network.prefix()).contains(address);
  }

  private List<InterfaceAddress> hostAddresses() throws CniException {
    try (NetNs netns =
        hostNamespace.isPresent() ? NetNs.open(hostNamespace.get()) : NetNs.current()) {
      return global(netns);
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, "the host's addresses cannot be listed: " + e.getMessage(), e);
    }
  }

  private static List<InetAddress> globalAddresses(NetNs netns) throws IOException {
    return global(netns).stream().map(InterfaceAddress::address).toList();
  }

  private static List<InterfaceAddress> global(NetNs netns) throws IOException {
    try (RouteSocket routes = RouteSocket.open(netns)) {
      return routes.addresses().stream()
          .filter(it -> !it.address().isLoopbackAddress() && !it.address().isLinkLocalAddress())
          .toList();
    }
  }
}
