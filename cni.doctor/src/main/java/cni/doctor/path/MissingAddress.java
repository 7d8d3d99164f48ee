// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.InetAddresses;
import cni.api.Result;
import cni.doctor.RemedyText;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.runtime.CachedAttachment;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Why no interface has an address: by what is stored of the container that should have it.
 *
 * @param address the address
 */
record MissingAddress(Namespaces namespaces, InetAddress address) {
  PathFinding find() throws IOException {
    String text = InetAddresses.format(address);
    Optional<CachedAttachment> stored = namespaces.attachment(address);
    Optional<PathFinding> gateway = ofGateway(address);
    if (stored.isEmpty() && gateway.isPresent()) {
      return gateway.get();
    }
    if (stored.isEmpty()) {
      return new PathFinding(
          PathCause.ADDRESS_MISSING,
          "no interface has the address " + text,
          RemedyText.commented(
              "cni list",
              "shows the addresses of containers; check the mapping or the destination"));
    }
    String name = Namespaces.name(stored.get());
    Optional<NamespaceView> view = namespaces.of(stored.get());
    if (view.isEmpty()) {
      String path = stored.get().attachment().namespace().map(Path::toString).orElse("unknown");
      return new PathFinding(
          PathCause.NAMESPACE_GONE,
          "the namespace of %s, %s, does not exist".formatted(name, path),
          "cni gc " + stored.get().network());
    }
    Optional<Link> down = view.get().downLink();
    String interfaceName = stored.get().attachment().interfaceName();
    if (view.get().routes().link(interfaceName).isEmpty()) {
      return new PathFinding(
          PathCause.INTERFACE_GONE,
          "%s has lost its interface %s".formatted(name, interfaceName),
          Namespaces.recreateCommand(stored.get()));
    }
    return down.isPresent()
        ? LinkProblem.down(view.get(), down.get())
        : new PathFinding(
            PathCause.ADDRESS_MISSING,
            "%s does not have its address %s".formatted(name, text),
            Namespaces.repairCommand(stored.get()));
  }

  /**
   * Returns why a namespace has no route to this address of its own: the bridge that leads to a
   * container is down or lacks its address, or the container lacks its own; empty if neither does.
   */
  Optional<PathFinding> behind(NamespaceView view) throws IOException {
    IpFamily family = IpFamily.of(address);
    Optional<CachedAttachment> destination = namespaces.attachment(address);
    if (view == namespaces.host()) {
      return destination.isEmpty() ? Optional.empty() : ofGateway(destination.get(), family);
    }
    if (view.downLink().isPresent()) {
      return Optional.empty(); // which takes the addresses, too
    }
    for (CachedAttachment attachment : namespaces.attachmentsOf(view)) {
      for (InetAddress own : Namespaces.addresses(attachment)) {
        if (IpFamily.of(own) == family && view.owner(own).isEmpty()) {
          return Optional.of(new MissingAddress(namespaces, own).find());
        }
      }
    }
    return Optional.empty();
  }

  private Optional<PathFinding> ofGateway(CachedAttachment attachment, IpFamily family)
      throws IOException {
    for (Result.IpConfig ip : Namespaces.ips(attachment)) {
      Optional<InetAddress> gateway = ip.gateway().filter(it -> IpFamily.of(it) == family);
      Optional<PathFinding> problem =
          gateway.isEmpty() ? Optional.empty() : ofGateway(gateway.get());
      if (problem.isPresent()) {
        return problem;
      }
    }
    return Optional.empty();
  }

  /** Returns that the bridge with the gateway of containers is down or lacks it; empty if not. */
  private Optional<PathFinding> ofGateway(InetAddress gateway) throws IOException {
    Optional<CachedAttachment> behind = namespaces.attachmentBehind(gateway);
    if (behind.isEmpty()) {
      return Optional.empty();
    }
    Optional<PathFinding> missing = MissingBridge.of(namespaces.host(), behind.get());
    if (missing.isPresent()) {
      return missing;
    }
    boolean isMissing = namespaces.host().owner(gateway).isEmpty();
    for (String name : Namespaces.hostLinks(behind.get())) {
      Optional<Link> bridge =
          namespaces.host().routes().link(name).filter(it -> it.isKind("bridge"));
      if (bridge.isPresent() && !bridge.get().isUp()) {
        return Optional.of(LinkProblem.down(namespaces.host(), bridge.get()));
      }
      if (bridge.isPresent() && isMissing) {
        return Optional.of(
            new PathFinding(
                PathCause.ADDRESS_MISSING,
                "bridge %s does not have %s, the gateway of its containers"
                    .formatted(name, InetAddresses.format(gateway)),
                "cni repair " + behind.get().network()));
      }
    }
    return Optional.empty();
  }
}
