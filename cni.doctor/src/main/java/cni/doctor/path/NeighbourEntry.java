// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import static cni.netlink.ffm.route.RtnetlinkConstants.NUD_FAILED;
import static cni.netlink.ffm.route.RtnetlinkConstants.NUD_PERMANENT;

import cni.api.InetAddresses;
import cni.doctor.path.Namespaces.NamespaceLink;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Neighbour;
import java.io.IOException;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;

/**
 * What a namespace knows of the hardware address of a next hop.
 *
 * @param out the link towards the next hop
 * @param address the address of the next hop
 */
record NeighbourEntry(NamespaceView view, Link out, InetAddress address) {
  /** IFF_NOARP of linux/if.h. */
  private static final int IFF_NOARP = 0x80;

  private Optional<Neighbour> entry() throws IOException {
    return view.routes().neighbours(IpFamily.of(address)).stream()
        .filter(it -> it.link() == out.index() && it.address().equals(address))
        .findFirst();
  }

  /** Returns whether the kernel searches for the hardware address, or has given up. */
  boolean isUnresolved() throws IOException {
    return entry().filter(it -> it.isIncomplete() || (it.state() & NUD_FAILED) != 0).isPresent();
  }

  /** Returns whether the next hop has answered. */
  boolean isLearnt() throws IOException {
    return entry().filter(it -> it.isResolved() && (it.state() & NUD_PERMANENT) == 0).isPresent();
  }

  /** Returns whether the entry was configured, so that the kernel does not correct it. */
  boolean isPermanent() throws IOException {
    return entry().filter(it -> (it.state() & NUD_PERMANENT) != 0).isPresent();
  }

  /** Returns in what the entry differs from the hardware address; empty if it does not. */
  Optional<String> mismatch(String mac) throws IOException {
    String used = entry().map(Neighbour::mac).orElse("");
    return used.isEmpty() || used.equals(mac)
        ? Optional.empty()
        : Optional.of(
            "the neighbour table of %s has %s for %s, whose hardware address is %s"
                .formatted(
                    view, used, InetAddresses.format(address), mac.isEmpty() ? "unknown" : mac));
  }

  PathFinding wrong(String mismatch) {
    String command = "neigh del " + InetAddresses.format(address) + " dev " + out.name();
    return new PathFinding(PathCause.NEIGHBOUR_WRONG, mismatch, view.ip(command));
  }

  /**
   * Returns why a neighbour that exists does not get the packet: the hardware address is not asked
   * for, or not answered; empty if it is known, or has not been needed.
   *
   * @param owner the link that has the address
   * @param wasSent whether a packet has been sent, so that an earlier failure is not meant
   */
  Optional<PathFinding> unanswered(NamespaceLink owner, boolean wasSent) throws IOException {
    for (NamespaceLink it : List.of(new NamespaceLink(view, out), owner)) {
      if ((it.link().flags() & IFF_NOARP) != 0) {
        return Optional.of(
            new PathFinding(
                PathCause.NEIGHBOUR_UNRESOLVED,
                "%s of %s does not take part in neighbour discovery: ARP is off"
                    .formatted(it.link().name(), it.view()),
                it.view().ip("link set %s arp on".formatted(it.link().name()))));
      }
    }
    boolean isSearched =
        wasSent ? isUnresolved() : entry().filter(Neighbour::isIncomplete).isPresent();
    if (!isSearched) {
      return Optional.empty();
    }
    boolean isV4 = IpFamily.of(address) == IpFamily.IPV4;
    return Optional.of(
        new PathFinding(
            PathCause.NEIGHBOUR_UNRESOLVED,
            "%s of %s gets no answer to its %s requests for %s, which %s of %s has"
                .formatted(
                    out.name(),
                    view,
                    isV4 ? "ARP" : "neighbour discovery",
                    InetAddresses.format(address),
                    owner.link().name(),
                    owner.view()),
            "find what drops them: rules (nft list ruleset), or ports of a bridge with bcast_flood"
                + " or mcast_flood off (bridge -d link)"));
  }

  PathFinding unresolved() {
    return new PathFinding(
        PathCause.NEIGHBOUR_UNRESOLVED,
        "no host on %s of %s answers for %s"
            .formatted(out.name(), view, InetAddresses.format(address)),
        "check the route, and that the next hop is up and on this link");
  }
}
