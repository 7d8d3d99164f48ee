package cni.doctor.path;

import cni.api.InetAddresses;
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
    if (stored.isEmpty()) {
      return new PathFinding(
          PathCause.ADDRESS_MISSING,
          "no interface has the address " + text,
          "cni list shows the addresses of containers; check the mapping or the destination");
    }
    String name = Namespaces.name(stored.get());
    Optional<NamespaceView> view = namespaces.of(stored.get());
    if (view.isEmpty()) {
      String path = stored.get().attachment().namespace().map(Path::toString).orElse("unknown");
      return new PathFinding(
          PathCause.NAMESPACE_GONE,
          "the namespace of %s, %s, does not exist".formatted(name, path),
          "cni del or cni gc removes what is left of the container");
    }
    Optional<Link> down = view.get().downLink();
    return down.isPresent()
        ? LinkProblem.down(view.get(), down.get())
        : new PathFinding(
            PathCause.ADDRESS_MISSING,
            "%s does not have its address %s".formatted(name, text),
            "cni repair adds it again");
  }
}
