// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.InetAddresses;
import cni.doctor.RemedyText;
import cni.doctor.path.Namespaces.NamespaceLink;
import cni.netlink.ffm.route.BridgeVlan;
import cni.netlink.ffm.route.Link;
import cni.runtime.CachedAttachment;
import java.io.IOException;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Why a bridge does not pass a frame to the interface of a container.
 *
 * @param in the port that the frame came in by; empty if the bridge's own namespace sends it
 * @param out the port that leads to the container; empty if it is not known
 * @param to the interface of the container
 * @param size the length of the packet in bytes, 0 for a short one
 */
record BridgeProblem(
    NamespaceLink bridge,
    Optional<Link> in,
    Optional<NamespaceLink> out,
    NamespaceLink to,
    int size) {
  /**
   * Returns that the host's end of a container's veth pair is no port of the bridge that ADD made
   * it a port of; empty if it is, or is no such end.
   */
  static Optional<PathFinding> detached(Namespaces namespaces, NamespaceLink end)
      throws IOException {
    if (end.view() != namespaces.host() || end.link().master() != 0) {
      return Optional.empty();
    }
    Optional<CachedAttachment> attachment = namespaces.attachmentOf(end.link().name());
    if (attachment.isEmpty()) {
      return Optional.empty();
    }
    Optional<PathFinding> missing = MissingBridge.of(end.view(), attachment.get());
    if (missing.isPresent()) {
      return missing;
    }
    for (String name : Namespaces.hostLinks(attachment.get())) {
      if (end.view().routes().link(name).filter(it -> it.isKind("bridge")).isPresent()) {
        return problem(
            PathCause.NOT_ON_LINK,
            "%s of %s, the host's end of %s of %s, is not a port of bridge %s"
                .formatted(
                    end.link().name(),
                    end.view(),
                    attachment.get().attachment().interfaceName(),
                    Namespaces.name(attachment.get()),
                    name),
            Namespaces.repairCommand(attachment.get()));
      }
    }
    return Optional.empty();
  }

  /** Returns the problem; empty if there is none. */
  Optional<PathFinding> find(InetAddress nextHop) throws IOException {
    Link target = bridge.link();
    boolean isPort =
        out.filter(it -> it.view() == bridge.view() && it.link().master() == target.index())
            .isPresent();
    if (!isPort) {
      return problem(
          PathCause.NOT_ON_LINK,
          "%s belongs to %s of %s, which is no port of bridge %s"
              .formatted(InetAddresses.format(nextHop), to.link().name(), to.view(), target.name()),
          RemedyText.commented(
              "cni repair",
              "attaches the container to its bridge again; otherwise check the route to it"));
    }
    Link port = out.orElseThrow().link();
    Optional<PathFinding> down = LinkProblem.of(to.view(), to.link());
    if (!to.link().isUp()) {
      return down;
    }
    Optional<PathFinding> portDown = LinkProblem.of(bridge.view(), port);
    if (portDown.isPresent()) {
      return portDown;
    }
    return modes(port);
  }

  private Optional<PathFinding> modes(Link port) throws IOException {
    if (in.filter(it -> it.index() == port.index() && !it.portModes().hairpin()).isPresent()) {
      return problem(
          PathCause.NO_HAIRPIN,
          "port " + port.name() + " is not in hairpin mode",
          RemedyText.commented(
              "bridge link set dev %s hairpin on".formatted(port.name()),
              "\"hairpinMode\" of the bridge plugin does so at ADD"));
    }
    if (port.portModes().isolated() && in.filter(it -> it.portModes().isolated()).isPresent()) {
      return problem(
          PathCause.ISOLATED_PORTS,
          "%s and %s are isolated ports of bridge %s"
              .formatted(in.orElseThrow().name(), port.name(), bridge.link().name()),
          "set \"portIsolation\" of the bridge plugin to false");
    }
    if (in.isPresent() && filtersVlans()) {
      Optional<PathFinding> vlan = vlan(in.get(), port);
      if (vlan.isPresent()) {
        return vlan;
      }
    }
    return mtu(port);
  }

  private boolean filtersVlans() {
    return bridge.link().kindData() instanceof Link.Bridge it && it.vlanFiltering();
  }

  private Optional<PathFinding> vlan(Link from, Link port) throws IOException {
    List<BridgeVlan> sender = bridge.view().routes().bridgeVlans(from.index());
    List<BridgeVlan> receiver = bridge.view().routes().bridgeVlans(port.index());
    Optional<BridgeVlan> untagged = sender.stream().filter(BridgeVlan::pvid).findFirst();
    boolean isCommon =
        untagged.filter(it -> receiver.stream().anyMatch(r -> r.id() == it.id())).isPresent();
    return isCommon
        ? Optional.empty()
        : problem(
            PathCause.VLAN,
            "port %s is in VLANs %s, port %s in %s"
                .formatted(from.name(), ids(sender), port.name(), ids(receiver)),
            "give both networks the same \"vlan\"");
  }

  private static String ids(List<BridgeVlan> vlans) {
    return vlans.isEmpty()
        ? "none"
        : vlans.stream().map(it -> Integer.toString(it.id())).collect(Collectors.joining(" "));
  }

  /** A bridge drops what is longer than the MTU of the port; so does a veth for its peer's. */
  private Optional<PathFinding> mtu(Link port) {
    int mtu = Math.min(port.mtu(), to.link().mtu());
    boolean isPort = port.mtu() <= to.link().mtu();
    Link narrow = isPort ? port : to.link();
    return size <= mtu
        ? Optional.empty()
        : problem(
            PathCause.MTU,
            "the packet of %d bytes is longer than the MTU of %s, %d, and bridges drop it silently"
                .formatted(size, narrow.name(), mtu),
            RemedyText.commented(
                (isPort ? bridge.view() : to.view())
                    .ip("link set %s mtu %d".formatted(narrow.name(), size)),
                "all interfaces of a bridge need one MTU: see \"mtu\" of the bridge plugin"));
  }

  private static Optional<PathFinding> problem(PathCause cause, String text, String remedy) {
    return Optional.of(new PathFinding(cause, text, remedy));
  }
}
