package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.netns.NotNamespaceException;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** The interface of a container through which a client speaks, held by its namespace. */
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
   * Opens it, if namespace and interface are still there.
   *
   * @throws IOException if the kernel cannot be asked
   */
  static Optional<ContainerLink> openIfPresent(Path namespace, String name) throws IOException {
    NetNs netns;
    try {
      netns = NetNs.open(namespace);
    } catch (KernelException e) {
      if (e.is(Errno.ENOENT) || e instanceof NotNamespaceException) {
        return Optional.empty();
      }
      throw e;
    }
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
   * Opens it.
   *
   * @throws CniException code 8 if the namespace or the interface is not there
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
                        + "; the plugin before has to make it"));
  }

  /**
   * That of a lease, if it is still the same interface.
   *
   * @throws IOException if the kernel cannot be asked
   */
  static Optional<ContainerLink> ofLease(Lease lease) throws IOException {
    Optional<ContainerLink> open = openIfPresent(lease.namespace(), lease.id().interfaceName());
    if (open.isPresent() && !open.get().identity().equals(lease.linkIdentity())) {
      open.get().close();
      return Optional.empty();
    }
    return open;
  }

  /** What no other interface of this start of the machine has: its namespace and its number. */
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
   * Its hardware address.
   *
   * @throws IOException if it has none
   */
  String mac() throws IOException {
    if (link.mac().isEmpty()) {
      throw new IOException("interface " + link.name() + " has no hardware address, as DHCP needs");
    }
    return link.mac();
  }

  /** Whether others have the same hardware address: what is sent to that may not reach it. */
  boolean sharesMac() {
    return link.isKind("ipvlan");
  }

  /**
   * Sets it up if it is down: nothing could be sent.
   *
   * @param v6 whether IPv6 is needed as well
   */
  void bringUp(boolean v6) throws IOException {
    if (v6) {
      netns.<Boolean, IOException>call(
          () -> {
            Sysctl.KERNEL.ensure("net/ipv6/conf/" + link.name() + "/disable_ipv6", "0");
            return true;
          });
    }
    if (!link.isUp()) {
      routing.execute(LinkRequests.setUp(link.index()));
    }
  }

  /**
   * Waits for its link-local address, which the kernel checks for duplicates first.
   *
   * @throws CniException code 11 if it does not come before the deadline
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

  /** Takes addresses off it that it may not use any more, and with them their routes. */
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
