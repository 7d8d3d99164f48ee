// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Differences;
import cni.api.Dns;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.netlink.ffm.route.Link;
import cni.plugins.support.AddressComparison;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.Ipam;
import cni.plugins.support.LinkComparison;
import cni.plugins.support.NetNsSession;
import java.util.List;
import java.util.Optional;

/**
 * The comparison of an attachment by a plugin that creates one interface in the container.
 *
 * @param request the request
 * @param result the desired result
 * @param host the host's namespace; stays open while changes may run
 * @param container the container's namespace; stays open while changes may run
 * @param differences receives the differences
 */
public record InterfaceComparison(
    UpdateRequest request,
    Result result,
    NetNsSession host,
    NetNsSession container,
    Differences differences) {
  /**
   * Opens the namespaces of the request, compares the state of the ipam plugin, and determines the
   * desired result.
   *
   * @throws CniException the ipam plugin's error; code 7 if the previous result does not list the
   *     interface; or if a namespace cannot be opened
   */
  public static InterfaceComparison start(UpdateRequest request, Differences differences)
      throws CniException {
    InterfaceComparison opened = open(request, Result.EMPTY, differences);
    Result result = desiredResult(request, differences);
    return new InterfaceComparison(request, result, opened.host, opened.container, differences);
  }

  /**
   * Opens the namespaces of the request.
   *
   * @param result the desired result
   * @throws CniException if one cannot be opened
   */
  public static InterfaceComparison open(
      UpdateRequest request, Result result, Differences differences) throws CniException {
    AttachmentRequest desired = request.desired();
    NetNsSession host = differences.keep(NetNsSession.openHost(desired.context()));
    NetNsSession container = differences.keep(NetNsSession.openContainer(desired, host));
    return new InterfaceComparison(request, result, host, container, differences);
  }

  /**
   * Returns the previous result of the desired request with the addresses, routes and DNS settings
   * of the desired configuration.
   */
  private static Result desiredResult(UpdateRequest request, Differences differences)
      throws CniException {
    Result previous = request.desired().requirePrevResult();
    int index = AttachmentCheck.requireIndex(request.desired(), previous);
    Result assigned = Ipam.compare(request, differences).orElse(previous);
    List<Result.IpConfig> ips =
        assigned.ips().stream()
            .map(ip -> previous.ips().contains(ip) ? ip : ip.withInterface(index))
            .toList();
    return new Result(
        previous.interfaces(), ips, assigned.routes(), desiredDns(request, assigned.dns()));
  }

  /** Resolver settings of the plugin's configuration take precedence over the ipam plugin's. */
  private static Dns desiredDns(UpdateRequest request, Dns assigned) throws CniException {
    Dns before = request.current().config().dns();
    Dns now = request.desired().config().dns();
    boolean removed = now.isEmpty() && !before.isEmpty() && assigned.equals(before);
    return removed || !now.isEmpty() ? now : assigned;
  }

  /** Returns a comparison whose differences are of a kind. */
  InterfaceComparison of(Differences.Kind kind) {
    return new InterfaceComparison(request, result, host, container, differences.of(kind));
  }

  /**
   * Requires that the interface can have the desired MTU and its addresses.
   *
   * @throws CniException code 7 if {@code mtu} is too low for IPv6
   */
  public void requireMtuForIpv6() throws CniException {
    ConfigObject view = request.desired().config().view();
    int mtu = view.integer("mtu", 0, Integer.MAX_VALUE).orElse(0);
    LinkComparison.requireMtu(view, mtu, ips());
  }

  /** Returns the comparison of links in the container. */
  public LinkComparison links() {
    return LinkComparison.inContainer(container, request.desired(), differences);
  }

  /**
   * Finds the attachment's interface and compares its hardware address.
   *
   * @param kind the expected kind of link, as the kernel names it; empty for any
   * @return empty if it is missing or of another kind, which has been added as a difference
   * @throws CniException if the kernel cannot be queried
   */
  public Optional<Link> find(String kind) throws CniException {
    Result.Interface expected = result.interfaces().get(index());
    return kind.isEmpty() ? links().find(expected) : links().find(expected, kind);
  }

  /**
   * Finds the attachment's interface as {@link #find}, if the kernel refuses to change its hardware
   * address because that is its parent's.
   */
  Optional<Link> findWithParentMac(String kind) throws CniException {
    Result.Interface expected = result.interfaces().get(index());
    Optional<Link> link = links().find(expected.name());
    if (link.isEmpty() || !links().isKind(link.get(), kind)) {
      return Optional.empty();
    }
    if (!expected.mac().isEmpty() && !expected.mac().equalsIgnoreCase(link.get().mac())) {
      differences
          .of(Differences.Kind.LINK_SETTING)
          .addUnchangeable(
              "interface %s has its parent's hardware address %s, expected %s"
                  .formatted(expected.name(), link.get().mac(), expected.mac()));
    }
    return link;
  }

  /** The position of the attachment's interface in the current and the desired result. */
  private int index() throws CniException {
    return AttachmentCheck.requireIndex(request.desired(), result);
  }

  /** Returns the result of the last ADD or update. */
  public Result currentResult() throws CniException {
    return request.current().requirePrevResult();
  }

  /** Returns the addresses that the interface had after the last ADD or update. */
  public List<Result.IpConfig> currentIps() throws CniException {
    return currentResult().ipsOf(index());
  }

  /** Returns the desired addresses of the interface. */
  public List<Result.IpConfig> ips() throws CniException {
    return result.ipsOf(index());
  }

  /** Returns the comparison of the addresses and routes of an interface of the container. */
  public AddressComparison addresses(Link link) {
    return new AddressComparison(container, link, request.desired(), differences);
  }

  /** Compares the routes of the results. */
  public void compareRoutes(AddressComparison addresses) throws CniException {
    addresses.compareRoutes(currentResult(), result, index());
  }

  /**
   * Requires that an interface is up, and compares its addresses and the routes.
   *
   * @throws CniException if the kernel cannot be queried
   */
  public void compareUpAndAddresses(Link link) throws CniException {
    links().compareUp(link);
    addresses(link).compare(currentResult(), result, index());
  }
}
