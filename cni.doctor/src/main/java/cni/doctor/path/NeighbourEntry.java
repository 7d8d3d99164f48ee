package cni.doctor.path;

import static cni.netlink.ffm.route.RtnetlinkConstants.NUD_FAILED;
import static cni.netlink.ffm.route.RtnetlinkConstants.NUD_PERMANENT;

import cni.api.InetAddresses;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Neighbour;
import java.io.IOException;
import java.net.InetAddress;
import java.util.Optional;

/**
 * What a namespace knows of the hardware address of a next hop.
 *
 * @param out the link towards the next hop
 * @param address the address of the next hop
 */
record NeighbourEntry(NamespaceView view, Link out, InetAddress address) {
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

  PathFinding unresolved() {
    return new PathFinding(
        PathCause.NEIGHBOUR_UNRESOLVED,
        "no host on %s of %s answers for %s"
            .formatted(out.name(), view, InetAddresses.format(address)),
        "check the route, and that the next hop is up and on this link");
  }
}
