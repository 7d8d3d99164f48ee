// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Differences;
import cni.api.Differences.Kind;
import cni.api.Result;
import cni.netlink.ffm.NetlinkRequest;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkUpdate;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * Comparison of the links of one namespace with their desired state. Each difference is added with
 * the request that removes it; a link that is missing or of another kind cannot be changed without
 * an interruption.
 */
public final class LinkComparison {
  /** The smallest MTU of IPv6 (RFC 8200). With a smaller one the kernel removes IPv6 addresses. */
  public static final int MIN_IPV6_MTU = 1280;

  /** The MTU of a new Ethernet device, ETH_DATA_LEN of linux/if_ether.h. */
  private static final int DEFAULT_MTU = 1500;

  private final NetNsSession namespace;
  private final String where;
  private final MacSetter macSetter;
  private final Differences differences;

  private LinkComparison(
      NetNsSession namespace, String where, MacSetter macSetter, Differences differences) {
    this.namespace = namespace;
    this.where = where;
    this.macSetter = macSetter;
    this.differences = differences;
  }

  static String describeContainer(AttachmentRequest request) {
    return "the container (" + request.attachment().sandbox() + ")";
  }

  /** Sets the hardware address of a link. */
  @FunctionalInterface
  private interface MacSetter {
    void set(Link link, String mac) throws IOException;
  }

  /**
   * Requires that an interface with these addresses can have an MTU.
   *
   * @param view the configuration, for the message
   * @param mtu the configured value of {@code mtu} in bytes; 0 for the kernel's default
   * @throws CniException code 7 if the kernel would remove its IPv6 addresses
   */
  public static void requireMtu(ConfigObject view, int mtu, List<Result.IpConfig> ips)
      throws CniException {
    boolean hasIpv6 = ips.stream().anyMatch(ip -> !ip.address().isV4());
    if (mtu != 0 && mtu < MIN_IPV6_MTU && hasIpv6) {
      throw view.invalid(
          "mtu", "must be at least " + MIN_IPV6_MTU + " for IPv6 addresses (RFC 8200)");
    }
  }

  /** Creates a comparison of links of the host. The session stays open while changes may run. */
  public static LinkComparison onHost(NetNsSession host, Differences differences) {
    return new LinkComparison(
        host,
        "the host",
        (link, mac) -> host.rtnetlink().execute(LinkRequests.setMac(link.index(), mac)),
        differences);
  }

  /**
   * Creates a comparison of links of the request's container. The session stays open while changes
   * may run. A changed hardware address is {@linkplain MacChange announced} to the neighbours.
   */
  public static LinkComparison inContainer(
      NetNsSession container, AttachmentRequest request, Differences differences) {
    return new LinkComparison(
        container,
        describeContainer(request),
        (link, mac) -> MacChange.announce(container, link, mac),
        differences);
  }

  /**
   * Finds an interface of the result and compares its hardware address.
   *
   * @return empty if it is missing, which has been added as a difference
   * @throws CniException if the kernel cannot be queried
   */
  public Optional<Link> find(Result.Interface expected) throws CniException {
    Optional<Link> link = find(expected.name());
    if (link.isPresent()) {
      compareMac(link.get(), expected.mac());
    }
    return link;
  }

  /**
   * Finds an interface of the result as {@link #find(Result.Interface)} does, and requires its
   * kind.
   *
   * @param kind as the kernel names it: {@code veth}
   * @return empty if it is missing or of another kind, which has been added as a difference
   * @throws CniException if the kernel cannot be queried
   */
  public Optional<Link> find(Result.Interface expected, String kind) throws CniException {
    Optional<Link> link = find(expected.name());
    if (link.isEmpty() || !isKind(link.get(), kind)) {
      return Optional.empty(); // another link, whose hardware address is not to be changed
    }
    compareMac(link.get(), expected.mac());
    return link;
  }

  /**
   * Finds a link.
   *
   * @return empty if it is missing, which has been added as a difference
   * @throws CniException if the kernel cannot be queried
   */
  public Optional<Link> find(String name) throws CniException {
    Optional<Link> link = lookUp(name);
    if (link.isEmpty()) {
      differences.of(Kind.INTERFACE).addUnchangeable(missing(name));
    }
    return link;
  }

  /**
   * Looks up a link without adding a difference if it is missing.
   *
   * @throws CniException if the kernel cannot be queried
   */
  public Optional<Link> lookUp(String name) throws CniException {
    try {
      return namespace.rtnetlink().link(name);
    } catch (IOException e) {
      throw NetNsSession.failure("looking up interface " + name + " in " + where, e);
    }
  }

  /** Returns the finding for a missing link. */
  public String missing(String name) {
    return missing(name, where);
  }

  static String missing(String name, String where) {
    return "interface " + name + " is missing from " + where;
  }

  /** Returns whether a link is of a kind; if not, that has been added as a difference. */
  public boolean isKind(Link link, String kind) {
    if (!link.isKind(kind)) {
      differences
          .of(Kind.INTERFACE)
          .addUnchangeable(
              "interface %s in %s is %s, expected a %s"
                  .formatted(
                      link.name(),
                      where,
                      link.kind().isEmpty() ? "not a virtual device" : "a " + link.kind(),
                      kind));
    }
    return link.isKind(kind);
  }

  /**
   * Compares the hardware address.
   *
   * @param mac empty for any
   */
  public void compareMac(Link link, String mac) {
    if (!mac.isEmpty() && !mac.equalsIgnoreCase(link.mac())) {
      differences
          .of(Kind.LINK_SETTING)
          .add(
              "interface %s in %s has hardware address %s, expected %s"
                  .formatted(link.name(), where, link.mac(), mac),
              "set the hardware address of %s to %s".formatted(link.name(), mac),
              () -> macSetter.set(link, mac),
              () -> macSetter.set(link, link.mac()));
    }
  }

  /** Requires that the link is up. Setting it up restores the routes that the kernel adds. */
  public void compareUp(Link link) {
    if (!link.isUp()) {
      change(
          Kind.LINK_STATE,
          isDown(link),
          "set " + link.name() + " up",
          LinkRequests.setUp(link.index()),
          LinkRequests.setDown(link.index()));
    }
  }

  /** Returns the finding of {@link #compareUp} for a link that is down. */
  public String isDown(Link link) {
    return isDown(link, where);
  }

  static String isDown(Link link, String where) {
    return "interface %s in %s is down, expected up".formatted(link.name(), where);
  }

  /**
   * Compares the MTU of a link that only this plugin sets.
   *
   * @param mtu in bytes; 0 for any
   */
  public void compareMtu(Link link, int mtu) {
    if (mtu != 0 && link.mtu() != mtu) {
      change(
          "interface %s in %s has MTU %d, expected %d"
              .formatted(link.name(), where, link.mtu(), mtu),
          "set the MTU of %s to %d".formatted(link.name(), mtu),
          new LinkUpdate(link.index()).mtu(mtu).request(),
          new LinkUpdate(link.index()).mtu(link.mtu()).request());
    }
  }

  /**
   * Compares the MTU of the container's interface after a change of the configuration. An MTU other
   * than the one configured before is a chained plugin's or the container's, and stays; therefore
   * nothing is compared if the configuration has not changed.
   *
   * @param current the configured MTU before in bytes; 0 for the kernel's default
   * @param desired the configured MTU now in bytes; 0 for the kernel's default
   */
  public void compareMtu(Link link, int current, int desired) {
    if (link.mtu() == effectiveMtu(current)) {
      compareMtu(link, effectiveMtu(desired));
    }
  }

  /** Returns the MTU of an Ethernet device that is created with an MTU, of which 0 is none. */
  public static int effectiveMtu(int configured) {
    return configured == 0 ? DEFAULT_MTU : configured;
  }

  /** Adds a difference of a setting that a request removes and another restores. */
  public void change(
      String finding, String description, NetlinkRequest apply, NetlinkRequest undo) {
    change(Kind.LINK_SETTING, finding, description, apply, undo);
  }

  /** Adds a difference that a request removes and another restores. */
  public void change(
      Kind kind, String finding, String description, NetlinkRequest apply, NetlinkRequest undo) {
    differences
        .of(kind)
        .add(
            finding,
            description,
            () -> namespace.rtnetlink().execute(apply),
            () -> namespace.rtnetlink().execute(undo));
  }
}
