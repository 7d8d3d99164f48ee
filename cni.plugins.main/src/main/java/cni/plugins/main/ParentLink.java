package cni.plugins.main;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.NetworkRequest;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkSpec;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.DuplicateInterfaceName;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.Comparator;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Collectors;

/**
 * The link that an interface of the container stands on: {@code master}, which is on the host or,
 * with {@code linkInContainer}, in the container itself.
 *
 * @param link the link
 * @param inContainer where it is
 */
public record ParentLink(Link link, boolean inContainer) {
  private static final int MIN_INDEX = 1 << 20;
  private static final int MAX_INDEX = 1 << 30;
  private static final int MAX_INDEX_ATTEMPTS = 3;

  /**
   * The one that the configuration names, or by which the default route leads.
   *
   * @throws CniException code 7 if there is no such link
   */
  public static ParentLink find(ConfigObject view, NetNsSession host, NetNsSession sandbox)
      throws CniException, IOException {
    return find(view, configuredName(view), host, sandbox);
  }

  /**
   * The one with that name, or by which the default route leads.
   *
   * @throws CniException code 7 if there is no such link
   */
  public static ParentLink find(
      ConfigObject view, Optional<String> name, NetNsSession host, NetNsSession sandbox)
      throws CniException, IOException {
    boolean inContainer = view.bool("linkInContainer");
    RouteSocket routing = (inContainer ? sandbox : host).rtnetlink();
    String where = inContainer ? "in the container" : "on the host";
    Optional<Link> found = name.isPresent() ? routing.link(name.get()) : byDefaultRoute(routing);
    if (found.isEmpty()) {
      throw view.invalid("master", describeMissing(routing, name, where));
    }
    return new ParentLink(found.get(), inContainer);
  }

  private static String describeMissing(RouteSocket routing, Optional<String> name, String where)
      throws IOException {
    if (name.isEmpty()) {
      return "is missing, and there is no default route " + where + " to take its interface from";
    }
    return "does not exist "
        + where
        + "; its interfaces are "
        + routing.links().stream()
            .map(Link::name)
            .filter(it -> !it.equals("lo"))
            .collect(Collectors.joining(", "));
  }

  /** The name in the configuration. */
  public static Optional<String> configuredName(ConfigObject view) throws CniException {
    return view.nonEmpty("master");
  }

  /** The interface of the best default route: IPv4's, otherwise that of IPv6. */
  private static Optional<Link> byDefaultRoute(RouteSocket routing) throws IOException {
    for (IpFamily family : IpFamily.values()) {
      Optional<Route> best =
          routing.routes(family).stream()
              .filter(ParentLink::isDefaultRoute)
              .min(Comparator.comparing(Route::priority, Integer::compareUnsigned));
      if (best.isPresent()) {
        return routing.link(best.get().hops().getFirst().link());
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
   * The MTU that the configuration wants, which cannot be larger than this link's.
   *
   * @return 0 if it wants none
   * @throws CniException code 7 if it is larger
   */
  public int requestedMtu(ConfigObject view) throws CniException {
    return view.integer("mtu", 0, link.mtu()).orElse(0);
  }

  /**
   * Makes an interface that stands on this link, in the container.
   *
   * @throws CniException code 4 if the container has one of that name
   */
  public void createUpper(
      LinkSpec standing, AttachmentRequest request, NetNsSession host, NetNsSession sandbox)
      throws CniException, IOException {
    for (int attempt = 1; ; attempt++) {
      try {
        if (inContainer) {
          sandbox.rtnetlink().execute(standing.request());
        } else {
          int index = ThreadLocalRandom.current().nextInt(MIN_INDEX, MAX_INDEX);
          host.rtnetlink().execute(standing.index(index).inNamespace(sandbox.netns()).request());
        }
        return;
      } catch (NetlinkException e) {
        if (e.is(Errno.EEXIST) && nameExists(request, sandbox)) {
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

  private static boolean nameExists(AttachmentRequest request, NetNsSession sandbox)
      throws IOException {
    return sandbox.rtnetlink().link(request.attachment().interfaceName()).isPresent();
  }

  /**
   * Checks that an interface stands on the link that the configuration names.
   *
   * @throws CniException if that is missing or another
   */
  public static void requireParent(
      Link standing, ConfigObject view, NetNsSession host, NetNsSession sandbox)
      throws CniException, IOException {
    Optional<String> name = configuredName(view);
    if (name.isEmpty()) {
      return; // the default route may lead another way by now
    }
    RouteSocket routing = (view.bool("linkInContainer") ? sandbox : host).rtnetlink();
    Optional<Link> master = routing.link(name.get());
    if (master.isEmpty()) {
      throw AttachmentCheck.mismatch("interface " + name.get() + ", the master, is missing");
    }
    if (standing.linkedIndex() != master.get().index()) {
      throw AttachmentCheck.mismatch(
          "interface %s stands on interface %d, expected %d, which is %s"
              .formatted(
                  standing.name(),
                  standing.linkedIndex(),
                  master.get().index(),
                  master.get().name()));
    }
  }

  /**
   * Refuses a master that is not there, for STATUS.
   *
   * @throws CniException code 50 if it is missing
   */
  public static void requirePresent(NetworkRequest request) throws CniException {
    ConfigObject view = request.config().view();
    if (view.bool("linkInContainer")) {
      return; // every container has its own
    }
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      find(view, host, host);
    } catch (CniException e) {
      throw new CniException(ErrorCode.NOT_AVAILABLE, String.valueOf(e.getMessage()), e);
    } catch (IOException e) {
      throw NetNsSession.failure("looking for the master interface", e);
    }
  }
}
