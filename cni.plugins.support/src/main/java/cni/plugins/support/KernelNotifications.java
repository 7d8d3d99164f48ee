// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.PluginHost;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.NetlinkMonitor;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The kernel's notifications of changes to links and addresses in the host's namespace and in those
 * that have an nsid there, and a socket to read the state that has changed.
 *
 * @param rtnetlink a socket of the host's namespace
 * @param monitor the notifications
 */
record KernelNotifications(RouteSocket rtnetlink, NetlinkMonitor monitor) implements AutoCloseable {
  /**
   * Subscribes to the notifications.
   *
   * @throws KernelException if the host's namespace cannot be entered or a socket cannot be opened
   */
  static KernelNotifications open(PluginHost host) throws KernelException {
    Optional<Path> path = host.hostNamespace();
    if (path.isEmpty()) {
      return open(RouteSocket.open(), KernelNotifications::subscribe);
    }
    try (NetNs netns = NetNs.open(path.get())) {
      return open(RouteSocket.open(netns), () -> netns.call(KernelNotifications::subscribe));
    }
  }

  private static KernelNotifications open(
      RouteSocket rtnetlink, NetNs.Task<NetlinkMonitor, KernelException> subscription)
      throws KernelException {
    try {
      return new KernelNotifications(rtnetlink, subscription.run());
    } catch (KernelException | RuntimeException | Error e) {
      rtnetlink.close();
      throw e;
    }
  }

  private static NetlinkMonitor subscribe() throws KernelException {
    return NetlinkMonitor.open(
        NetlinkConstants.NETLINK_ROUTE,
        RtnetlinkConstants.RTNLGRP_LINK,
        RtnetlinkConstants.RTNLGRP_IPV4_IFADDR,
        RtnetlinkConstants.RTNLGRP_IPV6_IFADDR,
        RtnetlinkConstants.RTNLGRP_NSID);
  }

  @Override
  public void close() {
    monitor.close();
    rtnetlink.close();
  }
}
