// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.PortMapping;
import cni.netlink.ffm.route.IpFamily;
import cni.runtime.CachedAttachment;
import java.net.InetAddress;
import java.util.Optional;

/**
 * The container's end of a published port.
 *
 * @param address the address of the container
 * @param port the port of the container
 */
record PublishedTarget(InetAddress address, int port) {
  /** Returns where an attachment publishes the port of a query; empty if it does not. */
  static Optional<PublishedTarget> of(CachedAttachment cached, PathQuery query) {
    if (!query.protocol().hasPorts()) {
      return Optional.empty();
    }
    IpFamily family = IpFamily.of(query.address());
    return PortMapping.readValid(cached.attachment().capabilityArgs()).stream()
        .filter(it -> isQueried(it, query))
        .findFirst()
        .flatMap(
            mapping ->
                Namespaces.addresses(cached).stream()
                    .filter(it -> IpFamily.of(it) == family)
                    .findFirst()
                    .map(it -> new PublishedTarget(it, mapping.containerPort())));
  }

  /** Returns the only address on which an attachment publishes the port; empty if there is none. */
  static Optional<InetAddress> otherHostIp(CachedAttachment cached, PathQuery query) {
    return PortMapping.readValid(cached.attachment().capabilityArgs()).stream()
        .filter(it -> isPort(it, query) && !isQueried(it, query))
        .flatMap(it -> it.hostIp().stream())
        .findFirst();
  }

  private static boolean isPort(PortMapping mapping, PathQuery query) {
    return mapping.hostPort() == query.port()
        && mapping.protocol().name().equals(query.protocol().name());
  }

  private static boolean isQueried(PortMapping mapping, PathQuery query) {
    return isPort(mapping, query)
        && mapping.hostIp().stream()
            .allMatch(it -> it.isAnyLocalAddress() || it.equals(query.address()));
  }
}
