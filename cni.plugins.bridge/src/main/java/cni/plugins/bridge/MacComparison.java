// SPDX-License-Identifier: Apache-2.0
package cni.plugins.bridge;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Mac;
import cni.netlink.ffm.route.Neighbour;
import cni.plugins.support.AddressComparison;
import cni.plugins.support.LinkComparison;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.math.BigInteger;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;

/**
 * Comparison of the hardware address of the container's interface, and of what depends on it: the
 * rules of {@code macspoofchk}, the IPv6 link-local address, and the bridge's forwarding database.
 */
final class MacComparison {
  private final BridgeConfig current;
  private final BridgeConfig desired;
  private final NetNsSession host;
  private final NetNsSession container;
  private final AttachmentRequest request;
  private final Differences differences;
  private final LinkComparison links;
  private final MacSpoofCheck spoofCheck;

  /** The interface in the container as the stored result describes it. */
  private final Result.Interface stored;

  /** The address that an update requests; empty if the stored one stays. */
  private final Optional<String> requested;

  /**
   * Creates the comparison.
   *
   * @param stored the interface in the container as the stored result describes it
   * @param own whether this plugin created the interface
   */
  MacComparison(
      UpdateRequest request,
      BridgeConfig current,
      BridgeConfig desired,
      NetNsSession host,
      NetNsSession container,
      Differences differences,
      Result.Interface stored,
      boolean own)
      throws CniException {
    AttachmentRequest attachment = request.desired();
    this.current = current;
    this.desired = desired;
    this.host = host;
    this.container = container;
    this.request = attachment;
    this.differences = differences.of(Differences.Kind.LINK_SETTING);
    this.links = LinkComparison.inContainer(container, attachment, differences);
    this.spoofCheck =
        new MacSpoofCheck(host, attachment.config().network(), attachment.attachment().id());
    this.stored = stored;
    this.requested = own ? requested() : Optional.empty();
  }

  /**
   * Returns the address that an update requests. One that another plugin of the chain has set, such
   * as tuning, stays: after an ADD the interface would have it as well. If none is requested any
   * more, the interface keeps the one that it has: the kernel's choice would be no better.
   */
  private Optional<String> requested() {
    boolean isOthers =
        current.mac().isPresent() && !current.mac().get().equalsIgnoreCase(stored.mac());
    return isOthers || current.mac().equals(desired.mac()) ? Optional.empty() : desired.mac();
  }

  /** Returns the interface as the desired result describes it. */
  Result.Interface desiredInterface() {
    return requested.isEmpty() ? stored : DeviceComparison.withMac(stored, requested.get());
  }

  /**
   * Compares. While the address changes, the rules let frames from both pass.
   *
   * @param link the interface
   * @param port the bridge's port; empty if it is missing
   */
  void compare(Link link, Optional<Link> port) throws CniException {
    String mac = requested.orElse(stored.mac().isEmpty() ? link.mac() : stored.mac());
    boolean changes = requested.isPresent() && !mac.equalsIgnoreCase(link.mac());
    boolean rulesEnd = !desired.spoofCheck();
    if (port.isPresent() && rulesEnd) {
      compareRules(port.get(), mac);
    } else if (port.isPresent() && changes && current.spoofCheck()) {
      spoofCheck.admitBoth(port.get().name(), link.mac(), mac, differences);
    }
    links.compareMac(link, mac);
    if (requested.isPresent()) {
      compareLinkLocal(link, mac);
    }
    if (port.isPresent() && !rulesEnd) {
      compareRules(port.get(), mac);
    }
    if (port.isPresent() && requested.isPresent()) {
      forgetFormer(port.get(), mac);
    }
  }

  private void compareRules(Link port, String mac) throws CniException {
    spoofCheck.compare(current.spoofCheck(), desired.spoofCheck(), port.name(), mac, differences);
  }

  /**
   * Replaces the link-local address that the kernel derived from an address before. It does not do
   * so itself (addrconf_notify ignores NETDEV_CHANGEADDR), and the next interface with that
   * hardware address would derive the same.
   */
  private void compareLinkLocal(Link link, String mac) throws CniException {
    List<InetAddress> present = linkLocalAddresses(link);
    List<Result.IpConfig> obsolete =
        formerMacs(mac).stream()
            .map(MacComparison::linkLocal)
            .filter(it -> present.contains(it.address().address()))
            .toList();
    if (!obsolete.isEmpty()) {
      var addresses = new AddressComparison(container, link, request, differences);
      addresses.compareAddresses(List.of(linkLocal(mac)));
      addresses.compareObsolete(obsolete, List.of());
    }
  }

  /** Returns the addresses that the interface had before the update or an interrupted one. */
  private Set<String> formerMacs(String mac) {
    var former = new TreeSet<String>(String.CASE_INSENSITIVE_ORDER);
    current.mac().ifPresent(former::add);
    if (!stored.mac().isEmpty()) {
      former.add(stored.mac());
    }
    former.remove(mac);
    return former;
  }

  private List<InetAddress> linkLocalAddresses(Link link) throws CniException {
    try {
      return container.rtnetlink().addresses(link.index()).stream()
          .map(InterfaceAddress::address)
          .filter(InetAddress::isLinkLocalAddress)
          .toList();
    } catch (IOException e) {
      throw NetNsSession.failure("listing the addresses of " + link.name(), e);
    }
  }

  /** Returns the link-local address of a hardware address (RFC 4291, appendix A). */
  private static Result.IpConfig linkLocal(String mac) {
    byte[] bytes = Mac.parse(mac);
    byte[] interfaceId = {
      (byte) (bytes[0] ^ 0x02), // the universal/local bit is inverted
      bytes[1],
      bytes[2],
      (byte) 0xff,
      (byte) 0xfe,
      bytes[3],
      bytes[4],
      bytes[5]
    };
    InetAddress prefix = InetAddresses.parse("fe80::");
    BigInteger number = InetAddresses.toNumber(prefix).add(new BigInteger(1, interfaceId));
    var address = new Cidr(InetAddresses.fromNumber(number, InetAddresses.bits(prefix)), 64);
    return new Result.IpConfig(address, Optional.empty(), OptionalInt.empty());
  }

  /** The bridge has learned the address before; it would forget it after five minutes. */
  private void forgetFormer(Link port, String mac) {
    for (String former : formerMacs(mac)) {
      differences.addCompletion(
          "delete %s at port %s from the forwarding database".formatted(former, port.name()),
          () ->
              host.rtnetlink()
                  .executeIgnoring(
                      Neighbour.deleteForwardingRequest(port.index(), former),
                      Errno.ENOENT,
                      Errno.ENODEV));
    }
  }
}
