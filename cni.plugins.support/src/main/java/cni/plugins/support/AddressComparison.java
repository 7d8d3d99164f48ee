// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Differences;
import cni.api.Differences.Kind;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.Route;
import java.io.IOException;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Comparison of the addresses and routes of an interface in the container with results. What is
 * missing is added first, then what is no longer desired is deleted.
 */
public final class AddressComparison {
  private final NetNsSession container;
  private final Link link;
  private final Deadline deadline;
  private final Differences differences;
  private final RouteComparison routes;
  private @Nullable List<InterfaceAddress> actual;

  /**
   * Creates a comparison.
   *
   * @param container the container's namespace; stays open while changes may run
   * @param link the interface
   * @param request the request
   * @param differences receives the differences
   */
  public AddressComparison(
      NetNsSession container, Link link, AttachmentRequest request, Differences differences) {
    this.container = container;
    this.link = link;
    this.deadline = request.context().deadline();
    // The kernel removes the routes and the IPv6 addresses of an interface that is set down.
    Differences found =
        link.isUp()
            ? differences
            : differences.following(
                LinkComparison.isDown(link, LinkComparison.describeContainer(request)));
    this.differences = found.of(Kind.ADDRESS);
    this.routes = new RouteComparison(container, link, found.of(Kind.ROUTE));
  }

  /**
   * Compares the addresses of the interface, the routes to their networks, and the routes of the
   * result.
   *
   * @param current the result before; what the desired result lacks of it is deleted
   * @param desired the desired result
   * @param index the interface's position in both results
   * @throws CniException if the kernel cannot be queried
   */
  public void compare(Result current, Result desired, int index) throws CniException {
    compareAddresses(desired.ipsOf(index));
    compareNetworks(desired.ipsOf(index));
    compareRoutes(current, desired, index);
    compareObsolete(current.ipsOf(index), desired.ipsOf(index));
  }

  /** Requires addresses. Adding one adds the route to its network. */
  public void compareAddresses(List<Result.IpConfig> ips) throws CniException {
    for (Result.IpConfig ip : ips) {
      if (!isPresent(ip)) {
        compareMissing(ip.address());
      }
    }
  }

  /** Requires the routes that the kernel adds for the networks of addresses. */
  public void compareNetworks(List<Result.IpConfig> ips) throws CniException {
    if (!link.isUp()) {
      return; // the kernel adds them when the interface is set up
    }
    for (Result.IpConfig ip : ips) {
      if (isPresent(ip)) {
        routes.compareNetwork(ip.address());
      }
    }
  }

  /**
   * Compares the routes of the results. Of a route whose table the result does not name, any table
   * is accepted: a later plugin of the chain may have moved it.
   */
  public void compareRoutes(Result current, Result desired, int index) throws CniException {
    routes.compare(
        new RouteComparison.Desired(current.routes(), current.ipsOf(index)),
        new RouteComparison.Desired(desired.routes(), desired.ipsOf(index)));
  }

  /** Adds the deletion of the addresses that are no longer desired. */
  public void compareObsolete(List<Result.IpConfig> current, List<Result.IpConfig> desired)
      throws CniException {
    List<Cidr> wanted = desired.stream().map(Result.IpConfig::address).toList();
    for (Result.IpConfig ip : current) {
      if (!wanted.contains(ip.address()) && isPresent(ip)) {
        deleteAddress(ip.address());
      }
    }
  }

  /**
   * Returns the routes to a network that exist in all tables, without those of the local table. The
   * routes of a family are listed once.
   */
  public List<Route> routesTo(Cidr network) throws CniException {
    return routes.routesTo(network);
  }

  /** Returns the route that the kernel adds for the network of an address. */
  public Route kernelRoute(Cidr address) {
    return routes.kernelRoute(address.network(), address.address());
  }

  /**
   * Waits until no IPv6 address of the interface is tentative: until then none can be the source of
   * a route.
   *
   * @throws CniException code 11 if another host has one of them, or at the deadline
   * @throws IOException if the kernel cannot be queried
   */
  public void awaitDad() throws CniException, IOException {
    DadWait.await(container.rtnetlink(), link.index(), link.name(), deadline);
  }

  /** Returns whether the interface had an address when its addresses were listed. */
  public boolean isPresent(Result.IpConfig ip) throws CniException {
    return addresses().stream().map(InterfaceCidrs::of).anyMatch(ip.address()::equals);
  }

  private List<InterfaceAddress> addresses() throws CniException {
    List<InterfaceAddress> known = actual;
    if (known == null) {
      try {
        known = container.rtnetlink().addresses(link.index());
      } catch (IOException e) {
        throw NetNsSession.failure("listing the addresses of " + link.name(), e);
      }
      actual = known;
    }
    return known;
  }

  private void compareMissing(Cidr address) throws CniException {
    var addition = new Addition(address);
    differences.add(
        "address %s is missing from interface %s, which has %s"
            .formatted(address, link.name(), describe(addresses())),
        "add address %s to %s".formatted(address, link.name()),
        addition::apply,
        addition::undo);
  }

  /** The addition of an address, unless it exists by now. */
  private final class Addition {
    private final InterfaceAddress address;
    private boolean added;
    private List<String> disabledBefore = List.of();

    Addition(Cidr cidr) {
      address = new InterfaceAddress(link.index(), cidr.address(), cidr.prefix());
    }

    void apply() throws CniException, IOException {
      if (!InetAddresses.isV4(address.address())) {
        container.runSysctl(this::enableIpv6);
      }
      try {
        added = container.rtnetlink().executeIgnoring(address.addRequest(), Errno.EEXIST);
        if (!InetAddresses.isV4(address.address()) && link.isUp()) {
          awaitDad();
        }
      } catch (CniException | IOException e) {
        undo();
        throw e;
      }
    }

    private void enableIpv6(Sysctl sysctl) throws IOException {
      disabledBefore = InterfaceConfigurator.enableIpv6(sysctl, link.name());
    }

    void undo() throws IOException {
      if (added) {
        added = false;
        delete(address);
      }
      for (String key : disabledBefore) {
        container.runSysctl(sysctl -> sysctl.set(key, "1"));
      }
    }
  }

  private void deleteAddress(Cidr cidr) {
    var address = new InterfaceAddress(link.index(), cidr.address(), cidr.prefix());
    differences.add(
        "interface %s has address %s, which is no longer assigned".formatted(link.name(), cidr),
        "delete address %s from %s".formatted(cidr, link.name()),
        () -> delete(address),
        () -> container.rtnetlink().executeIgnoring(address.addRequest(), Errno.EEXIST));
  }

  /**
   * Deletes an address. An IPv4 address that was added to the same network later is secondary, and
   * the kernel deletes it with the primary one unless {@code promote_secondaries} is set
   * (__inet_del_ifa in net/ipv4/devinet.c).
   */
  private void delete(InterfaceAddress address) throws IOException {
    var batch = new RequestBatch();
    boolean promote = InetAddresses.isV4(address.address()) && !promotesSecondaries();
    if (promote) {
      batch.add(LinkRequests.setPromoteSecondaries(link.index(), true));
    }
    batch.addIgnoring(address.deleteRequest(), Errno.EADDRNOTAVAIL, Errno.ENODEV);
    if (promote) {
      batch.add(LinkRequests.setPromoteSecondaries(link.index(), false));
    }
    batch.execute(container.rtnetlink());
  }

  private boolean promotesSecondaries() throws IOException {
    String key = "net/ipv4/conf/" + link.name() + "/promote_secondaries";
    return container.<Boolean, IOException>callInside(() -> !Sysctl.KERNEL.get(key).equals("0"));
  }

  private static String describe(List<InterfaceAddress> addresses) {
    return addresses.isEmpty()
        ? "none"
        : addresses.stream()
            .map(it -> InterfaceCidrs.of(it).toString())
            .collect(Collectors.joining(", "));
  }
}
