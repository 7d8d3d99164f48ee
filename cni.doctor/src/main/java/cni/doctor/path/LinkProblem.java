// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.netlink.ffm.route.Link;
import java.io.IOException;
import java.net.InetAddress;
import java.util.Optional;

/** Why a link transmits nothing. */
final class LinkProblem {
  private LinkProblem() {}

  /** Returns the problem of a link; empty if it is up. */
  static Optional<PathFinding> of(NamespaceView view, Link link) {
    if (!link.isUp()) {
      return Optional.of(down(view, link));
    }
    boolean hasCarrier =
        link.operState() != Link.OperState.LOWER_LAYER_DOWN
            && link.operState() != Link.OperState.DOWN;
    return hasCarrier
        ? Optional.empty()
        : Optional.of(
            new PathFinding(
                PathCause.NO_CARRIER,
                "%s of %s has no carrier".formatted(link.name(), view),
                "check the cable, or that the other end is up"));
  }

  /**
   * Returns that loopback is down, which packets of a namespace to itself pass; empty if it is up,
   * or the destination is none of the namespace's addresses.
   */
  static Optional<PathFinding> loopback(NamespaceView view, InetAddress destination)
      throws IOException {
    boolean isOwn = destination.isLoopbackAddress() || view.owner(destination).isPresent();
    return isOwn
        ? view.routes().link("lo").filter(it -> !it.isUp()).map(it -> down(view, it))
        : Optional.empty();
  }

  static PathFinding down(NamespaceView view, Link link) {
    String kind = link.isKind("bridge") ? "bridge " : "";
    return new PathFinding(
        PathCause.LINK_DOWN,
        "%s%s of %s is down".formatted(kind, link.name(), view),
        view.ip("link set %s up".formatted(link.name()))
            + (link.name().equals("lo") ? "" : "; cni repair"));
  }
}
