// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import static cni.netlink.ffm.route.RtnetlinkConstants.RTN_BLACKHOLE;
import static cni.netlink.ffm.route.RtnetlinkConstants.RTN_PROHIBIT;
import static cni.netlink.ffm.route.RtnetlinkConstants.RTN_UNREACHABLE;

import cni.api.Cidr;
import cni.doctor.RemedyText;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.PolicyRule;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RuleSelector;
import java.io.IOException;
import java.net.InetAddress;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The rules of policy routing, {@code ip rule}, that decide about a packet of a namespace. Those by
 * addresses and incoming interface are part of the kernel's answer to a route lookup; those by
 * firewall mark, port, protocol or type of service apply to the packet only.
 *
 * @param source the packet's source address; empty if it has none yet
 */
record RoutingRules(NamespaceView view, Optional<InetAddress> source, InetAddress destination) {
  private static final Map<Integer, String> REJECTING =
      Map.of(
          RTN_BLACKHOLE, "blackhole",
          RTN_UNREACHABLE, "unreachable",
          RTN_PROHIBIT, "prohibit");

  /**
   * Returns the rule that discards packets to the destination, after a route lookup was rejected
   * with the error of a route type; empty if a route of this type explains it.
   *
   * @param type the type: blackhole, prohibit or unreachable
   */
  Optional<PolicyRule> discarding(String type) throws IOException {
    boolean isByRoute =
        view.routes().routes(family()).stream()
            .anyMatch(it -> type.equals(REJECTING.get(it.type())) && covers(it));
    return isByRoute
        ? Optional.empty()
        : rules().stream()
            .filter(it -> it.table() == 0 && !dependsOnPacket(it) && mayMatch(it))
            .findFirst();
  }

  /** Returns the rules that the packet may match by more than its addresses. */
  List<PolicyRule> undecided(PathQuery query) throws IOException {
    return rules().stream()
        .filter(it -> dependsOnPacket(it) && mayMatch(it) && mayMatch(it.selector(), query))
        .toList();
  }

  /** Returns that a rule which the packet may match discards it; empty if there is none. */
  Optional<PathFinding> obstacle(PathQuery query) throws IOException {
    for (PolicyRule rule : undecided(query)) {
      Optional<String> end = deadEnd(rule);
      if (end.isPresent()) {
        return Optional.of(
            new PathFinding(
                PathCause.ROUTING_RULE,
                "%s does not route it on: %s %s".formatted(view, describe(rule), end.get()),
                remedy(rule)));
      }
    }
    return Optional.empty();
  }

  /** Returns what becomes of packets that a rule selects; empty if they may be routed. */
  private Optional<String> deadEnd(PolicyRule rule) throws IOException {
    if (rule.table() == 0) {
      return Optional.of("discards what it selects");
    }
    return view.routes().routes(family()).stream()
        .filter(it -> it.table() == rule.table() && covers(it))
        .max(Comparator.comparingInt(Route::prefix))
        .map(it -> REJECTING.get(it.type()))
        .map(
            it ->
                "selects table %d, where a route of type %s covers it".formatted(rule.table(), it));
  }

  /** Returns that a rule discards the packet whatever its mark and ports. */
  PathFinding discarded(PolicyRule rule, String type) {
    return new PathFinding(
        PathCause.ROUTING_RULE,
        "%s of %s, of type %s, discards it".formatted(describe(rule), view, type),
        remedy(rule));
  }

  /** Returns a rule as text: {@code rule 100 of "ip rule" (fwmark 0x7/0xffffffff)}. */
  String describe(PolicyRule rule) {
    String packets = rule.selector().toString();
    return "rule %d of \"ip rule\"%s"
        .formatted(rule.priority(), packets.isEmpty() ? "" : " (" + packets + ")");
  }

  private String remedy(PolicyRule rule) {
    String version = family() == IpFamily.IPV4 ? "" : "-6 ";
    return RemedyText.commented(
        view.ip(version + "rule del priority " + rule.priority()),
        "\"" + view.ip(version + "rule") + "\" lists the rules");
  }

  private List<PolicyRule> rules() throws IOException {
    return view.routes().policyRules(family());
  }

  private IpFamily family() {
    return IpFamily.of(destination);
  }

  private boolean covers(Route route) {
    return new Cidr(route.destination(), route.prefix()).contains(destination);
  }

  /** The rule of a VRF, which is partial, selects no packet that has a table of its own. */
  private static boolean dependsOnPacket(PolicyRule rule) {
    RuleSelector selector = rule.selector();
    return selector.mark().isPresent()
        || selector.protocol().isPresent()
        || selector.sourcePorts().isPresent()
        || selector.destinationPorts().isPresent()
        || (selector.isPartial() && rule.table() != 0);
  }

  private boolean mayMatch(PolicyRule rule) {
    RuleSelector selector = rule.selector();
    return isIn(selector.destination(), Optional.of(destination))
        && isIn(selector.source(), source)
        && selector.outputInterface().isEmpty();
  }

  private static boolean isIn(
      Optional<RuleSelector.Prefix> network, Optional<InetAddress> address) {
    return network.isEmpty()
        || address
            .filter(it -> new Cidr(network.get().address(), network.get().length()).contains(it))
            .isPresent();
  }

  private boolean mayMatch(RuleSelector selector, PathQuery query) {
    int protocol = query.protocol().kind().protocol(family());
    boolean isProtocol =
        selector.protocol().isEmpty() || selector.protocol().getAsInt() == protocol;
    boolean isPort =
        selector.destinationPorts().isEmpty()
            || (query.protocol().hasPorts()
                && selector
                    .destinationPorts()
                    .filter(it -> it.first() <= query.port() && query.port() <= it.last())
                    .isPresent());
    return isProtocol && isPort;
  }
}
