// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.InetAddresses;
import cni.netlink.ffm.route.InterfaceAddress;
import java.io.IOException;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.util.Optional;

/**
 * Connections to a published port by ::1. After the translation they would leave the loopback
 * interface with the source ::1, which the kernel drops; IPv6 has no route_localnet.
 */
final class LoopbackSource {
  private LoopbackSource() {}

  static boolean isOf(PathQuery query) {
    return query.address() instanceof Inet6Address && query.address().isLoopbackAddress();
  }

  /** Returns the finding, with another address of the host. */
  static PathFinding find(Namespaces namespaces, PathQuery query) throws IOException {
    Optional<InetAddress> other =
        namespaces.host().routes().addresses().stream()
            .map(InterfaceAddress::address)
            .filter(it -> it instanceof Inet6Address)
            .filter(it -> !it.isLoopbackAddress() && !it.isLinkLocalAddress())
            .findFirst();
    return new PathFinding(
        PathCause.LOOPBACK_SOURCE,
        "packets from ::1 cannot be forwarded to a container: Linux has no route_localnet for IPv6",
        "use another address of the host"
            + other
                .map(it -> ", such as [%s]:%d".formatted(InetAddresses.format(it), query.port()))
                .orElse(", such as 127.0.0.1:" + query.port()));
  }
}
