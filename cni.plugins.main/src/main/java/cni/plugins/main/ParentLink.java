// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkSpec;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.plugins.support.DuplicateInterfaceName;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.Comparator;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Collectors;

/**
 * The parent ({@code master}) of a macvlan, ipvlan or vlan interface. It is on the host or, with
 * {@code linkInContainer}, in the container.
 *
 * @param link the link
 * @param inContainer whether it is in the container
 */
public record ParentLink(Link link, boolean inContainer) {
  private static final int MIN_INDEX = 1 << 20;
  private static final int MAX_INDEX = 1 << 30;
  private static final int MAX_INDEX_ATTEMPTS = 3;

  /**
   * Validates the keys that select the parent, and {@code mtu}, as far as the parent need not be
   * known.
   *
   * @throws CniException code 7 if a value is invalid
   */
  public static void validate(ConfigObject view) throws CniException {
    configuredName(view);
    view.bool("linkInContainer");
    view.integer("mtu", 0, Integer.MAX_VALUE);
  }

  /**
   * Finds the link that the configuration names, or else that of the default route.
   *
   * @throws CniException code 7 if there is no such link
   */
  public static ParentLink find(ConfigObject view, NetNsSession host, NetNsSession container)
      throws CniException, IOException {
    return find(view, configuredName(view), host, container);
  }

  /**
   * Finds the link of the given name, or else that of the default route.
   *
   * @param name the link's name; empty for the default route
   * @throws CniException code 7 if there is no such link
   */
  public static ParentLink find(
      ConfigObject view, Optional<String> name, NetNsSession host, NetNsSession container)
      throws CniException, IOException {
    boolean inContainer = view.bool("linkInContainer");
    RouteSocket rtnetlink = (inContainer ? container : host).rtnetlink();
    String where = inContainer ? "in the container" : "on the host";
    Optional<Link> found =
        name.isPresent() ? rtnetlink.link(name.get()) : byDefaultRoute(rtnetlink);
    if (found.isEmpty()) {
      throw view.invalid("master", describeMissing(rtnetlink, name, where));
    }
    return new ParentLink(found.get(), inContainer);
  }

  private static String describeMissing(RouteSocket rtnetlink, Optional<String> name, String where)
      throws IOException {
    if (name.isEmpty()) {
      return "is missing, and there is no default route " + where + " to take its interface from";
    }
    return "does not exist "
        + where
        + "; its interfaces are "
        + rtnetlink.links().stream()
            .map(Link::name)
            .filter(it -> !it.equals("lo"))
            .collect(Collectors.joining(", "));
  }

  /** Returns {@code master}, if the configuration has it. */
  public static Optional<String> configuredName(ConfigObject view) throws CniException {
    return view.nonEmpty("master");
  }

  /** Returns the link of the IPv4 default route with the best priority, or else of the IPv6 one. */
  private static Optional<Link> byDefaultRoute(RouteSocket rtnetlink) throws IOException {
    for (IpFamily family : IpFamily.values()) {
      Optional<Route> best =
          rtnetlink.routes(family).stream()
              .filter(ParentLink::isDefaultRoute)
              .min(Comparator.comparing(Route::priority, Integer::compareUnsigned));
      if (best.isPresent()) {
        return rtnetlink.link(best.get().hops().getFirst().link());
      }
    }
    return Optional.empty();
  }

  private static boolean isDefaultRoute(Route route) {
    return route.prefix() == 0
        && route.table() == RtnetlinkConstants.RT_TABLE_MAIN
        && route.type() == RtnetlinkConstants.RTN_UNICAST
        && route.hops().getFirst().link() != 0;
  }

  /**
   * Reads {@code mtu}, which cannot exceed this link's.
   *
   * @return the MTU in bytes, 0 if the configuration has none
   * @throws CniException code 7 if it exceeds this link's
   */
  public int requestedMtu(ConfigObject view) throws CniException {
    return view.integer("mtu", 0, link.mtu()).orElse(0);
  }

  /**
   * Creates an upper device of this link in the container. With the parent on the host the request
   * names a random index: without one the kernel looks the name up on the host, and fails with
   * EEXIST if the host has an interface of that name. EBUSY, if the index is in use, is retried.
   *
   * @throws CniException code 4 if the container has an interface of that name, code 7 if the
   *     parent cannot have such an upper device
   */
  public void createUpper(
      LinkSpec upper, AttachmentRequest request, NetNsSession host, NetNsSession container)
      throws CniException, IOException {
    for (int attempt = 1; ; attempt++) {
      try {
        if (inContainer) {
          container.rtnetlink().execute(upper.request());
        } else {
          int index = ThreadLocalRandom.current().nextInt(MIN_INDEX, MAX_INDEX);
          host.rtnetlink().execute(upper.index(index).inNamespace(container.netns()).request());
        }
        return;
      } catch (NetlinkException e) {
        if (e.is(Errno.EEXIST) && nameExists(request, container)) {
          throw DuplicateInterfaceName.error(request.attachment(), e);
        }
        if (!e.is(Errno.EBUSY)) {
          throw e;
        }
        if (inContainer || attempt == MAX_INDEX_ATTEMPTS) {
          throw new CniException(
              ErrorCode.INVALID_CONFIG,
              "master "
                  + link.name()
                  + " is busy: it may be a port of a bridge, or carry links of another kind",
              e);
        }
      }
    }
  }

  private static boolean nameExists(AttachmentRequest request, NetNsSession container)
      throws IOException {
    return container.rtnetlink().link(request.attachment().interfaceName()).isPresent();
  }

  /**
   * Compares the parent of an interface with the link that the configuration names. Without a name
   * any parent is accepted: the default route may have changed since ADD. The interface's MTU is
   * compared if it is configured, and no later plugin of the chain may have set it, or if its
   * configuration changes.
   *
   * @param isMtuShared whether a later plugin of the chain may have set the MTU
   * @throws CniException code 7 if the desired MTU exceeds the parent's
   */
  public static void compare(InterfaceComparison comparison, Link upper, boolean isMtuShared)
      throws CniException, IOException {
    ConfigObject current = comparison.request().current().config().view();
    ConfigObject desired = comparison.request().desired().config().view();
    boolean mtuChanges = configuredMtu(current) != configuredMtu(desired);
    Optional<String> name = configuredName(desired);
    if (name.isEmpty() && !mtuChanges && configuredMtu(desired) == 0) {
      return;
    }
    boolean inContainer = desired.bool("linkInContainer");
    RouteSocket rtnetlink = (inContainer ? comparison.container() : comparison.host()).rtnetlink();
    Optional<Link> found =
        name.isPresent() ? rtnetlink.link(name.get()) : rtnetlink.link(upper.linkedIndex());
    Optional<String> mismatch = mismatch(upper, name, found);
    if (mismatch.isPresent()) {
      comparison.differences().addUnchangeable(mismatch.get());
      return;
    }
    var parent = new ParentLink(found.orElseThrow(), inContainer);
    if (!parent.link().isUp() && comparison.request().isUnchanged()) {
      comparison
          .differences()
          .of(Differences.Kind.LINK_STATE)
          .addUnchangeable(
              "interface %s, the master of %s, is down, expected up: set it up"
                  .formatted(parent.link().name(), upper.name()));
    }
    if (mtuChanges) {
      comparison.requireMtuForIpv6();
      parent.compareMtu(comparison, upper, configuredMtu(current), desired);
    } else if (!isMtuShared) {
      parent.compareConfiguredMtu(comparison, upper, configuredMtu(desired));
    }
  }

  private static int configuredMtu(ConfigObject view) throws CniException {
    return view.integer("mtu", 0, Integer.MAX_VALUE).orElse(0);
  }

  private static Optional<String> mismatch(
      Link upper, Optional<String> name, Optional<Link> parent) {
    if (parent.isEmpty()) {
      return Optional.of(
          name.map(it -> "interface " + it + ", the master, is missing")
              .orElse("the parent of interface " + upper.name() + " is missing"));
    }
    return upper.linkedIndex() == parent.get().index()
        ? Optional.empty()
        : Optional.of(
            "interface %s has interface %d as its parent, expected %d, which is %s"
                .formatted(
                    upper.name(), upper.linkedIndex(), parent.get().index(), parent.get().name()));
  }

  /** The kernel lowers the MTU with the parent's, but does not raise it again. */
  private void compareConfiguredMtu(InterfaceComparison comparison, Link upper, int mtu) {
    if (mtu > link.mtu()) {
      comparison
          .differences()
          .addUnchangeable(
              "interface %s has MTU %d, expected %d; its parent %s has MTU %d"
                  .formatted(upper.name(), upper.mtu(), mtu, link.name(), link.mtu()));
    } else {
      comparison.links().compareMtu(upper, mtu);
    }
  }

  /** An MTU other than the one configured before was set by another plugin, and stays. */
  private void compareMtu(
      InterfaceComparison comparison, Link upper, int configuredBefore, ConfigObject desired)
      throws CniException {
    int before = effectiveMtu(configuredBefore);
    int now = effectiveMtu(requestedMtu(desired));
    if (upper.mtu() == before) {
      comparison.links().compareMtu(upper, now);
    }
  }

  /** Without an MTU in the configuration, the kernel gives an upper device that of its parent. */
  private int effectiveMtu(int configured) {
    return configured == 0 ? link.mtu() : configured;
  }

  /**
   * Requires that the parent exists and can have the MTU that the configuration names, for STATUS.
   * A parent in the container is not checked: each container has its own.
   *
   * @throws CniException code 7 if not
   */
  public static void requirePresent(ConfigObject view, NetNsSession host)
      throws CniException, IOException {
    if (!view.bool("linkInContainer")) {
      find(view, host, host).requestedMtu(view);
    }
  }
}
