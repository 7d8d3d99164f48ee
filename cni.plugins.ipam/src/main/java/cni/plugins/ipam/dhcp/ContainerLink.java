// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** The interface of a container that a client uses, with its open network namespace. */
final class ContainerLink implements AutoCloseable {
  private static final int POLL_MILLIS = 20;

  private final NetNs netns;
  private final RouteSocket routing;
  private final Link link;

  private ContainerLink(NetNs netns, RouteSocket routing, Link link) {
    this.netns = netns;
    this.routing = routing;
    this.link = link;
  }

  /**
   * Opens an interface; absent if it or its namespace does not exist.
   *
   * @throws IOException if the kernel cannot be queried
   */
  static Optional<ContainerLink> openIfPresent(Path namespace, String name) throws IOException {
    Optional<NetNs> present = NetNs.openIfPresent(namespace);
    if (present.isEmpty()) {
      return Optional.empty();
    }
    NetNs netns = present.get();
    RouteSocket routing = null;
    Optional<ContainerLink> opened = Optional.empty();
    try {
      RouteSocket open = RouteSocket.open(netns);
      routing = open;
      opened = open.link(name).map(it -> new ContainerLink(netns, open, it));
      return opened;
    } finally {
      if (opened.isEmpty()) {
        if (routing != null) {
          routing.close();
        }
        netns.close();
      }
    }
  }

  /**
   * Opens an interface.
   *
   * @throws CniException code 8 if it or its namespace does not exist
   * @throws IOException if the kernel cannot be queried
   */
  static ContainerLink open(Path namespace, String name) throws CniException, IOException {
    return openIfPresent(namespace, name)
        .orElseThrow(
            () ->
                new CniException(
                    ErrorCode.INVALID_NAMESPACE,
                    "dhcp: there is no interface "
                        + name
                        + " in "
                        + namespace
                        + "; the interface plugin must create it before it calls dhcp"));
  }

  /**
   * Opens the interface of a lease; absent if it does not exist or is another one of that name.
   *
   * @throws IOException if the kernel cannot be queried
   */
  static Optional<ContainerLink> ofLease(Lease lease) throws IOException {
    Optional<ContainerLink> open = openIfPresent(lease.namespace(), lease.id().interfaceName());
    if (open.isPresent() && !open.get().identity().equals(lease.linkIdentity())) {
      open.get().close();
      return Optional.empty();
    }
    return open;
  }

  /** Returns namespace inode and interface index, which no other interface of this boot has. */
  String identity() throws IOException {
    return netns.identity().inode() + "/" + link.index();
  }

  NetNs netns() {
    return netns;
  }

  int index() {
    return link.index();
  }

  /**
   * Returns the hardware address.
   *
   * @throws IOException if the interface has none
   */
  String mac() throws IOException {
    if (link.mac().isEmpty()) {
      throw new IOException(
          "interface " + link.name() + " has no hardware address, which DHCP requires");
    }
    return link.mac();
  }

  /** Whether other interfaces have the same hardware address, so unicast frames may not arrive. */
  boolean sharesMac() {
    return link.isKind("ipvlan");
  }

  /**
   * Sets the interface up if it is down.
   *
   * @param v6 whether to enable IPv6 on it
   */
  void bringUp(boolean v6) throws IOException {
    if (v6) {
      netns.<Boolean, IOException>call(
          () -> {
            enableIpv6(Sysctl.KERNEL);
            return true;
          });
    }
    if (!link.isUp()) {
      routing.execute(LinkRequests.setUp(link.index()));
    }
  }

  private void enableIpv6(Sysctl sysctl) throws IOException {
    try {
      sysctl.ensure("net/ipv6/conf/" + link.name() + "/disable_ipv6", "0");
    } catch (NoSuchFileException e) {
      return; // hidden (/proc mounted with subset=pid): it is 0 by default
    }
  }

  /**
   * Waits for the link-local address to complete duplicate address detection.
   *
   * @throws CniException code 11 if it does not by the deadline
   */
  Inet6Address awaitLinkLocal(Deadline deadline) throws CniException, IOException {
    while (true) {
      Optional<InetAddress> found =
          routing.addresses(link.index()).stream()
              .filter(it -> it.address().isLinkLocalAddress() && !it.isTentative())
              .map(InterfaceAddress::address)
              .filter(Inet6Address.class::isInstance)
              .findFirst();
      if (found.isPresent()) {
        return Inet6Address.getByAddress(null, found.get().getAddress(), link.index());
      }
      deadline.check("interface " + link.name() + " has an IPv6 link-local address");
      try {
        TimeUnit.MILLISECONDS.sleep(POLL_MILLIS);
      } catch (InterruptedException e) {
        throw CniException.interrupted("waiting for a link-local address");
      }
    }
  }

  /** Returns whether the interface has one of the addresses. */
  boolean hasAny(List<InetAddress> addresses) throws IOException {
    return routing.addresses(link.index()).stream()
        .anyMatch(it -> addresses.contains(it.address()));
  }

  /** Removes those of the addresses that the interface has; the kernel removes their routes. */
  void removeAddresses(List<InetAddress> addresses) throws IOException {
    for (InterfaceAddress it : routing.addresses(link.index())) {
      if (addresses.contains(it.address())) {
        try {
          routing.execute(it.deleteRequest());
        } catch (NetlinkException e) {
          if (!e.is(Errno.EADDRNOTAVAIL)) {
            throw e;
          }
        }
      }
    }
  }

  @Override
  public void close() {
    routing.close();
    netns.close();
  }
}
