// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.InetAddresses;
import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.OptionalInt;

/**
 * The setting {@code route_localnet} of the host's interface to the container. It allows packets
 * from and to 127.0.0.1 there: connections of the host to 127.0.0.1 keep that source address until
 * they are masqueraded after routing.
 */
final class RouteLocalnet {
  private static final String ALL = "net/ipv4/conf/all/route_localnet";

  private final NetNsSession host;
  private final Cidr container;

  /** The interface that {@link #enable()} has enabled it on. */
  private OptionalInt enabled = OptionalInt.empty();

  private RouteLocalnet(NetNsSession host, Cidr container) {
    this.host = host;
    this.container = container;
  }

  /** Enables it on the interface that the container is reached by, if there is one. */
  static void enable(NetNsSession host, Cidr container) throws CniException, IOException {
    OptionalInt link = requireLink(host, container);
    if (link.isPresent()) {
      host.rtnetlink().execute(LinkRequests.setRouteLocalnet(link.getAsInt(), true));
    }
  }

  /**
   * Adds a difference if it is off, or if the host discards packets to the container. If the
   * container is not reached without a gateway, it only gets its address by an earlier change: the
   * interface is looked up by then.
   *
   * @param isNew whether the container does not have the address yet
   */
  static void compare(NetNsSession host, Cidr container, boolean isNew, Differences differences)
      throws IOException {
    ContainerRoute route = ContainerRoute.of(host, container);
    OptionalInt link = route.link();
    if (route.obstacle().isPresent()) {
      differences.of(Differences.Kind.ROUTE).addUnchangeable(route.obstacle().get());
    } else if (link.isEmpty() && isNew) {
      var setting = new RouteLocalnet(host, container);
      differences
          .of(Differences.Kind.SYSCTL)
          .add(
              "the container does not have its new address " + describe(container),
              "set route_localnet of the interface to " + describe(container) + " to 1",
              setting::enable,
              setting::disable);
    } else if (link.isPresent()
        && !host.rtnetlink().linkSettings(link.getAsInt()).routeLocalnet()
        && !isOnEverywhere(host)) {
      int index = link.getAsInt();
      String name = host.rtnetlink().link(index).map(Link::name).orElse("");
      differences
          .of(Differences.Kind.SYSCTL)
          .add(
              "route_localnet of interface %s is 0: mapped ports cannot be reached by 127.0.0.1"
                  .formatted(name),
              "set route_localnet of interface " + name + " to 1",
              () -> host.rtnetlink().execute(LinkRequests.setRouteLocalnet(index, true)),
              () -> host.rtnetlink().execute(LinkRequests.setRouteLocalnet(index, false)));
    }
  }

  private static OptionalInt requireLink(NetNsSession host, Cidr container)
      throws CniException, IOException {
    ContainerRoute route = ContainerRoute.of(host, container);
    route.requireNoObstacle();
    return route.link();
  }

  private static String describe(Cidr container) {
    return InetAddresses.format(container.address());
  }

  private void enable() throws CniException, IOException {
    OptionalInt link = requireLink(host, container);
    if (link.isPresent() && !host.rtnetlink().linkSettings(link.getAsInt()).routeLocalnet()) {
      host.rtnetlink().execute(LinkRequests.setRouteLocalnet(link.getAsInt(), true));
      enabled = link;
    }
  }

  private void disable() throws IOException {
    if (enabled.isPresent()) {
      host.rtnetlink().execute(LinkRequests.setRouteLocalnet(enabled.getAsInt(), false));
    }
  }

  private static boolean isOnEverywhere(NetNsSession host) throws IOException {
    return host.<Boolean, IOException>callInside(() -> Sysctl.KERNEL.get(ALL).equals("1"));
  }
}
