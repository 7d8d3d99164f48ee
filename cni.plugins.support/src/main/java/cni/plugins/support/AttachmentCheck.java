package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Comparison of a result with the state of the kernel, for CHECK. Every error names the object that
 * differs, the expected and the actual value.
 */
public final class AttachmentCheck {
  private static final int RT_TABLE_UNSPEC = 0;
  private static final int RT_TABLE_LOCAL = 255;

  private AttachmentCheck() {}

  /**
   * Returns the position of the attachment's interface in the previous result.
   *
   * @throws CniException code 7 if the result does not list it, or in another sandbox
   */
  public static int requireIndex(AttachmentRequest request, Result result) throws CniException {
    String name = request.attachment().interfaceName();
    String path = request.attachment().sandbox();
    return result
        .indexOf(name, path)
        .orElseThrow(
            () ->
                new CniException(
                    ErrorCode.INVALID_CONFIG,
                    result.interfaces().stream()
                        .filter(it -> it.name().equals(name) && !it.isOnHost())
                        .findFirst()
                        .map(
                            it ->
                                "prevResult has interface %s in sandbox %s, CNI_NETNS is %s"
                                    .formatted(name, it.sandbox(), path))
                        .orElse("prevResult has no interface " + name + " in a sandbox")));
  }

  /** Creates the error for a mismatch, code 999. */
  public static CniException mismatch(String message) {
    return new CniException(ErrorCode.INTERNAL, message);
  }

  /**
   * Requires that no rule is missing.
   *
   * @param consequence what does not work without the rules, for the message
   * @throws CniException code 999, naming the chains of the missing rules
   */
  public static void requireNoneMissing(List<InstalledRule> missing, String consequence)
      throws CniException {
    if (!missing.isEmpty()) {
      throw mismatch(
          missing.stream()
              .map(rule -> "a rule of chain \"" + rule.chain() + "\"")
              .distinct()
              .collect(Collectors.joining(", ", consequence + ": missing is ", "")));
    }
  }

  /**
   * Returns the link of an interface of the result.
   *
   * @param where "the container" or "the host", for messages
   * @throws CniException code 999 if it is missing or its hardware address differs
   */
  public static Link requireLink(NetNsSession namespace, Result.Interface expected, String where)
      throws CniException {
    Link link;
    try {
      link =
          namespace
              .rtnetlink()
              .link(expected.name())
              .orElseThrow(
                  () -> mismatch("interface " + expected.name() + " is missing from " + where));
    } catch (IOException e) {
      throw NetNsSession.failure("looking up interface " + expected.name() + " in " + where, e);
    }
    if (!expected.mac().isEmpty() && !expected.mac().equalsIgnoreCase(link.mac())) {
      throw mismatch(
          "interface %s in %s has hardware address %s, expected %s"
              .formatted(expected.name(), where, link.mac(), expected.mac()));
    }
    return link;
  }

  /**
   * Returns the link of the attachment's interface.
   *
   * @throws CniException code 999 if the container does not have it
   * @throws IOException if the kernel cannot be queried
   */
  public static Link requireInterface(AttachmentRequest request, NetNsSession container)
      throws CniException, IOException {
    String name = request.attachment().interfaceName();
    return container
        .rtnetlink()
        .link(name)
        .orElseThrow(
            () ->
                mismatch(
                    "interface " + name + " is missing from " + request.attachment().sandbox()));
  }

  /**
   * Requires that a link is of a kind.
   *
   * @param kind as the kernel names it: {@code veth}
   * @param where "the container" or "the host", for the message
   * @throws CniException code 999 if it is of another kind
   */
  public static void requireKind(Link link, String kind, String where) throws CniException {
    if (!link.isKind(kind)) {
      throw mismatch(
          "interface %s in %s is %s, expected a %s"
              .formatted(
                  link.name(),
                  where,
                  link.kind().isEmpty() ? "not a virtual device" : "a " + link.kind(),
                  kind));
    }
  }

  /**
   * Requires that a link has the expected addresses, and the routes to their networks.
   *
   * @throws CniException code 999, naming the first that is missing
   */
  public static void requireAddresses(
      NetNsSession container, Link link, List<Result.IpConfig> expected) throws CniException {
    if (expected.isEmpty()) {
      return;
    }
    try {
      List<Cidr> actual = InterfaceCidrs.list(container, link.index());
      for (Result.IpConfig ip : expected) {
        Cidr address = ip.address();
        if (!actual.contains(address)) {
          throw mismatch(
              "address %s is missing from interface %s, which has %s"
                  .formatted(address, link.name(), describe(actual)));
        }
        requireNetworkRoute(container, link, address);
      }
    } catch (IOException e) {
      throw NetNsSession.failure("listing the addresses of " + link.name(), e);
    }
  }

  /** Requires the route that the kernel adds for an address's network. */
  private static void requireNetworkRoute(NetNsSession container, Link link, Cidr address)
      throws CniException, IOException {
    Cidr network = address.network();
    boolean noNetwork = network.prefix() == InetAddresses.bits(network.address());
    if (noNetwork || address.address().isLoopbackAddress()) {
      return; // the only route is that to the address itself, in the local table
    }
    List<Route> routes = routesTo(container, network);
    if (routes.stream().noneMatch(route -> isOn(route, link))) {
      throw mismatch(
          "the route to %s, the network of address %s, is missing from interface %s"
              .formatted(network, address, link.name()));
    }
  }

  /**
   * Requires that the container has the expected routes. A route whose table the result does not
   * name may be in any table: a later plugin of the chain may have moved it.
   *
   * @throws CniException code 999, naming the first that is missing
   */
  public static void requireRoutes(NetNsSession container, List<Result.Route> expected)
      throws CniException {
    try {
      for (Result.Route route : expected) {
        List<Route> actual = routesTo(container, route.destination().network());
        if (actual.stream().noneMatch(it -> matches(it, route))) {
          throw mismatch(
              "route "
                  + describe(route)
                  + " is missing from the container"
                  + describeActual(actual));
        }
      }
    } catch (IOException e) {
      throw NetNsSession.failure("listing routes", e);
    }
  }

  private static List<Route> routesTo(NetNsSession container, Cidr network) throws IOException {
    IpFamily family = IpFamily.of(network.address());
    List<Route> found = new ArrayList<>();
    for (Route route : container.rtnetlink().routes(family)) {
      if (route.hasDestination(network.address(), network.prefix())
          && route.table() != RT_TABLE_LOCAL) {
        found.add(route);
      }
    }
    return found;
  }

  private static boolean isOn(Route route, Link link) {
    return route.hops().stream().anyMatch(hop -> hop.link() == link.index());
  }

  private static boolean matches(Route actual, Result.Route expected) {
    int wanted = (int) expected.table().orElse(RT_TABLE_UNSPEC);
    boolean table = wanted == RT_TABLE_UNSPEC || wanted == actual.table();
    boolean priority = expected.priority() == 0 || (int) expected.priority() == actual.priority();
    boolean gateway =
        expected.gateway().isEmpty()
            || actual.hops().stream().anyMatch(hop -> hop.gateway().equals(expected.gateway()));
    return table && priority && gateway;
  }

  private static String describe(Result.Route route) {
    return route.destination()
        + route.gateway().map(gateway -> " via " + InetAddresses.format(gateway)).orElse("")
        + (route.priority() == 0 ? "" : " metric " + route.priority())
        + (route.table().isEmpty() ? "" : " table " + route.table().getAsLong());
  }

  private static String describeActual(List<Route> routes) {
    if (routes.isEmpty()) {
      return "";
    }
    return routes.stream()
        .flatMap(route -> route.hops().stream())
        .map(hop -> hop.gateway().map(AttachmentCheck::via).orElse("on link " + hop.link()))
        .collect(Collectors.joining(", ", "; the routes to this destination go ", ""));
  }

  private static String via(InetAddress gateway) {
    return "via " + InetAddresses.format(gateway);
  }

  private static String describe(List<Cidr> addresses) {
    return addresses.isEmpty()
        ? "none"
        : addresses.stream().map(Cidr::toString).collect(Collectors.joining(", "));
  }
}
