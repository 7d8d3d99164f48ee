package cni.plugins.link;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.NetworkRequest;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.NewLink;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RtNetlink;
import cni.netlink.ffm.route.Rtnetlink;
import cni.sandbox.AttachmentCheck;
import cni.sandbox.InterfaceNames;
import cni.sandbox.Namespace;
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
record Master(Link link, boolean inContainer) {
  private static final int FIRST_INDEX = 1 << 20;
  private static final int LAST_INDEX = 1 << 30;
  private static final int INDEX_ATTEMPTS = 3;

  /**
   * The one that the configuration names, or by which the default route leads.
   *
   * @throws CniException code 7 if there is no such link
   */
  static Master find(ConfigObject view, Namespace host, Namespace sandbox)
      throws CniException, IOException {
    return find(view, name(view), host, sandbox);
  }

  /**
   * The one with that name, or by which the default route leads.
   *
   * @throws CniException code 7 if there is no such link
   */
  static Master find(ConfigObject view, Optional<String> name, Namespace host, Namespace sandbox)
      throws CniException, IOException {
    boolean inContainer = view.bool("linkInContainer");
    Rtnetlink routing = (inContainer ? sandbox : host).routing();
    String where = inContainer ? "in the container" : "on the host";
    Optional<Link> found = name.isPresent() ? routing.link(name.get()) : byDefaultRoute(routing);
    if (found.isEmpty()) {
      throw view.invalid("master", missing(routing, name, where));
    }
    return new Master(found.get(), inContainer);
  }

  private static String missing(Rtnetlink routing, Optional<String> name, String where)
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
  static Optional<String> name(ConfigObject view) throws CniException {
    return view.nonEmpty("master");
  }

  /** The interface of the best default route: IPv4's, otherwise that of IPv6. */
  private static Optional<Link> byDefaultRoute(Rtnetlink routing) throws IOException {
    for (int family : new int[] {RtNetlink.AF_INET, RtNetlink.AF_INET6}) {
      Optional<Route> best =
          routing.routes(family).stream()
              .filter(Master::isDefault)
              .min(Comparator.comparing(Route::priority, Integer::compareUnsigned));
      if (best.isPresent()) {
        return routing.link(best.get().hops().getFirst().link());
      }
    }
    return Optional.empty();
  }

  private static boolean isDefault(Route route) {
    return route.prefix() == 0
        && route.table() == RtNetlink.RT_TABLE_MAIN
        && route.type() == RtNetlink.RTN_UNICAST
        && route.hops().getFirst().link() != 0;
  }

  /**
   * The MTU that the configuration wants, which cannot be larger than this link's.
   *
   * @return 0 if it wants none
   * @throws CniException code 7 if it is larger
   */
  int mtu(ConfigObject view) throws CniException {
    return view.integer("mtu", 0, link.mtu()).orElse(0);
  }

  /**
   * Makes an interface that stands on this link, in the container.
   *
   * @throws CniException code 4 if the container has one of that name
   */
  void create(NewLink standing, AttachmentRequest request, Namespace host, Namespace sandbox)
      throws CniException, IOException {
    for (int attempt = 1; ; attempt++) {
      try {
        if (inContainer) {
          sandbox.routing().execute(standing.request());
        } else {
          int index = ThreadLocalRandom.current().nextInt(FIRST_INDEX, LAST_INDEX);
          host.routing().execute(standing.index(index).in(sandbox.netns()).request());
        }
        return;
      } catch (NetlinkException e) {
        if (e.is(Errno.EEXIST) && isTaken(request, sandbox)) {
          throw InterfaceNames.taken(request.attachment(), e);
        }
        if (!e.is(Errno.EBUSY)) {
          throw e;
        }
        if (inContainer || attempt == INDEX_ATTEMPTS) {
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

  private static boolean isTaken(AttachmentRequest request, Namespace sandbox) throws IOException {
    return sandbox.routing().link(request.attachment().interfaceName()).isPresent();
  }

  /**
   * Checks that an interface stands on the link that the configuration names.
   *
   * @throws CniException if that is missing or another
   */
  static void requireUnder(Link standing, ConfigObject view, Namespace host, Namespace sandbox)
      throws CniException, IOException {
    Optional<String> name = name(view);
    if (name.isEmpty()) {
      return; // the default route may lead another way by now
    }
    Rtnetlink routing = (view.bool("linkInContainer") ? sandbox : host).routing();
    Optional<Link> master = routing.link(name.get());
    if (master.isEmpty()) {
      throw AttachmentCheck.differs("interface " + name.get() + ", the master, is missing");
    }
    if (standing.peer() != master.get().index()) {
      throw AttachmentCheck.differs(
          "interface %s stands on interface %d, expected %d, which is %s"
              .formatted(
                  standing.name(), standing.peer(), master.get().index(), master.get().name()));
    }
  }

  /**
   * Refuses a master that is not there, for STATUS.
   *
   * @throws CniException code 50 if it is missing
   */
  static void requirePresent(NetworkRequest request) throws CniException {
    ConfigObject view = request.config().view();
    if (view.bool("linkInContainer")) {
      return; // every container has its own
    }
    try (Namespace host = Namespace.ofHost(request.context())) {
      find(view, host, host);
    } catch (CniException e) {
      throw new CniException(ErrorCode.NOT_AVAILABLE, String.valueOf(e.getMessage()), e);
    } catch (IOException e) {
      throw Namespace.failure("looking for the master interface", e);
    }
  }
}
