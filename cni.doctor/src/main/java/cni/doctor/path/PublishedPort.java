package cni.doctor.path;

import cni.netlink.ffm.route.IpFamily;
import cni.runtime.CachedAttachment;
import java.net.InetAddress;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * Where a port of the host is published to.
 *
 * @param address the address of the container
 * @param port the port of the container
 */
record PublishedPort(InetAddress address, int port) {
  private static final String CAPABILITY = "portMappings";

  /** Returns where an attachment publishes the port of a query; empty if it does not. */
  static Optional<PublishedPort> of(CachedAttachment cached, PathQuery query) {
    @Nullable JsonNode mappings = cached.attachment().capabilityArgs().get(CAPABILITY);
    if (mappings == null || !query.protocol().hasPorts()) {
      return Optional.empty();
    }
    IpFamily family = IpFamily.of(query.address());
    Optional<InetAddress> address =
        Namespaces.addresses(cached).stream().filter(it -> IpFamily.of(it) == family).findFirst();
    for (JsonNode mapping : mappings) {
      String protocol = mapping.path("protocol").asString("tcp");
      boolean isAsked =
          mapping.path("hostPort").asInt(0) == query.port()
              && protocol.toUpperCase(Locale.ROOT).equals(query.protocol().name());
      if (isAsked && address.isPresent()) {
        int port = mapping.path("containerPort").asInt(0);
        return Optional.of(new PublishedPort(address.get(), port));
      }
    }
    return Optional.empty();
  }
}
