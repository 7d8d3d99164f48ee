package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RtnetlinkConstants;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Compares a result with what is there, for CHECK. Every failure says which thing differs and how.
 */
public final class AttachmentCheck {
  private static final int RT_TABLE_UNSPEC = 0;
  private static final int RT_TABLE_LOCAL = 255;

  private AttachmentCheck() {}

  /**
   * Where the attachment's interface stands in the previous result.
   *
   * @throws CniException code 7 if it is not there, or is in another sandbox
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

  /** The error for something that is not as the result says. */
  public static CniException mismatch(String message) {
    return new CniException(ErrorCode.INTERNAL, message);
  }

  /**
   * Checks that no rule is missing.
   *
   * @param otherwise what it means that some are
   * @throws CniException naming the chains of those that are missing
   */
  public static void requireNoneMissing(List<InstalledRule> missing, String otherwise)
      throws CniException {
    if (!missing.isEmpty()) {
      throw mismatch(
          missing.stream()
              .map(rule -> "a rule of chain \"" + rule.chain() + "\"")
              .collect(Collectors.joining(", ", otherwise + ": missing is ", "")));
    }
  }

  /**
   * The link that stands behind an interface of the result.
   *
   * @param where "the container" or "the host", for messages
   * @throws CniException if it is missing or its hardware address differs
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
   * The attachment's interface.
   *
   * @throws CniException if the container does not have it
   * @throws IOException if the kernel cannot be asked
   */
  public static Link requireInterface(AttachmentRequest request, NetNsSession sandbox)
      throws CniException, IOException {
    String name = request.attachment().interfaceName();
    return sandbox
        .rtnetlink()
        .link(name)
        .orElseThrow(
            () ->
                mismatch(
                    "interface " + name + " is missing from " + request.attachment().sandbox()));
  }

  /**
   * Checks that a link is of a kind.
   *
   * @throws CniException if it is of another
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
   * Checks that a link has addresses, and that the container knows the way to their networks.
   *
   * @throws CniException naming the first that is missing
   */
  public static void requireAddresses(
      NetNsSession sandbox, Link link, List<Result.IpConfig> expected) throws CniException {
    if (expected.isEmpty()) {
      return;
    }
    try {
      List<InterfaceAddress> there = sandbox.rtnetlink().addresses(link.index());
      for (Result.IpConfig ip : expected) {
        Cidr address = ip.address();
        if (there.stream().noneMatch(it -> InterfaceAddresses.cidr(it).equals(address))) {
          throw mismatch(
              "address %s is missing from interface %s, which has %s"
                  .formatted(address, link.name(), describe(there)));
        }
        requireNetworkRoute(sandbox, link, address);
      }
    } catch (IOException e) {
      throw NetNsSession.failure("listing the addresses of " + link.name(), e);
    }
  }

  /** The kernel makes a route to an address's network itself; someone may have removed it. */
  private static void requireNetworkRoute(NetNsSession sandbox, Link link, Cidr address)
      throws CniException, IOException {
    Cidr network = address.network();
    boolean noNetwork = network.prefix() == InetAddresses.bits(network.address());
    if (noNetwork || address.address().isLoopbackAddress()) {
      return; // there is only the route to the address itself, in the kernel's local table
    }
    List<Route> routes = routesTo(sandbox, network);
    if (routes.stream().noneMatch(route -> isOn(route, link))) {
      throw mismatch(
          "the route to %s, the network of address %s, is missing from interface %s"
              .formatted(network, address, link.name()));
    }
  }

  /**
   * Checks that the container has routes, in whatever table unless the result names one: a later
   * plugin of the chain may have moved them.
   *
   * @throws CniException naming the first that is missing
   */
  public static void requireRoutes(NetNsSession sandbox, List<Result.Route> expected)
      throws CniException {
    try {
      for (Result.Route route : expected) {
        List<Route> there = routesTo(sandbox, route.destination().network());
        if (there.stream().noneMatch(it -> matches(it, route))) {
          throw mismatch(
              "route "
                  + describe(route)
                  + " is missing from the container"
                  + describeActual(there));
        }
      }
    } catch (IOException e) {
      throw NetNsSession.failure("listing routes", e);
    }
  }

  private static List<Route> routesTo(NetNsSession sandbox, Cidr network) throws IOException {
    int family = network.isV4() ? RtnetlinkConstants.AF_INET : RtnetlinkConstants.AF_INET6;
    List<Route> found = new ArrayList<>();
    for (Route route : sandbox.rtnetlink().routes(family)) {
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

  private static boolean matches(Route there, Result.Route expected) {
    int wanted = (int) expected.table().orElse(RT_TABLE_UNSPEC);
    boolean table = wanted == RT_TABLE_UNSPEC || wanted == there.table();
    boolean priority = expected.priority() == 0 || (int) expected.priority() == there.priority();
    boolean gateway =
        expected.gateway().isEmpty()
            || there.hops().stream().anyMatch(hop -> hop.gateway().equals(expected.gateway()));
    return table && priority && gateway;
  }

  private static String describe(Result.Route route) {
    return route.destination()
        + route.gateway().map(gateway -> " via " + InetAddresses.format(gateway)).orElse("")
        + (route.priority() == 0 ? "" : " metric " + route.priority())
        + (route.table().isEmpty() ? "" : " table " + route.table().getAsLong());
  }

  private static String describeActual(List<Route> there) {
    if (there.isEmpty()) {
      return "";
    }
    return there.stream()
        .flatMap(route -> route.hops().stream())
        .map(hop -> hop.gateway().map(AttachmentCheck::via).orElse("on link " + hop.link()))
        .collect(Collectors.joining(", ", "; what leads there goes ", ""));
  }

  private static String via(InetAddress gateway) {
    return "via " + InetAddresses.format(gateway);
  }

  private static String describe(List<InterfaceAddress> addresses) {
    return addresses.isEmpty()
        ? "none"
        : addresses.stream()
            .map(address -> InterfaceAddresses.cidr(address).toString())
            .collect(Collectors.joining(", "));
  }
}
