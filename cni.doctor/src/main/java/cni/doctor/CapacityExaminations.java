// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.CniException;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Neighbour;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.runtime.Network;
import java.io.IOException;
import java.math.BigInteger;
import java.util.List;
import java.util.Optional;

/** Examines what can run out: addresses, tracked connections, neighbours, nf_tables itself. */
final class CapacityExaminations {
  static final List<Examination> ALL =
      List.of(
          new Examination(FindingKind.NF_TABLES_MISSING, CapacityExaminations::nftablesMissing),
          new Examination(FindingKind.RANGE_EXHAUSTED, CapacityExaminations::rangeExhausted),
          new Examination(
              FindingKind.RANGE_NEARLY_EXHAUSTED, CapacityExaminations::rangeNearlyExhausted),
          new Examination(FindingKind.CONNTRACK_FULL, CapacityExaminations::conntrackFull),
          new Examination(FindingKind.NEIGHBOURS_FULL, CapacityExaminations::neighboursFull));

  /** The share in percent from which on something is nearly full. */
  private static final int NEARLY = 90;

  private CapacityExaminations() {}

  private static void nftablesMissing(HostView host, Findings findings) throws IOException {
    Optional<String> objection = host.kernel().nftablesObjection();
    if (objection.isPresent()) {
      findings.ofHost(
          "the kernel has no nf_tables: masquerading, published ports and policies fail",
          objection.get(),
          RemedyText.commented("modprobe nf_tables", "or use a kernel with CONFIG_NF_TABLES"));
    }
  }

  private static void rangeExhausted(HostView host, Findings findings)
      throws IOException, CniException {
    ranges(host, findings, true);
  }

  private static void rangeNearlyExhausted(HostView host, Findings findings)
      throws IOException, CniException {
    ranges(host, findings, false);
  }

  private static void ranges(HostView host, Findings findings, boolean exhausted)
      throws IOException, CniException {
    for (Network network : host.networks()) {
      Optional<HostLocalRanges> ranges = HostView.ranges(network);
      if (ranges.isEmpty()) {
        continue;
      }
      List<Reservation> reservations = host.reservations(ranges.get());
      for (List<HostLocalRanges.Range> set : ranges.get().sets()) {
        BigInteger size =
            set.stream().map(HostLocalRanges.Range::size).reduce(BigInteger.ZERO, BigInteger::add);
        long used =
            reservations.stream()
                .filter(it -> set.stream().anyMatch(range -> range.contains(it.address())))
                .count();
        boolean full = BigInteger.valueOf(used).compareTo(size) >= 0;
        boolean nearly =
            BigInteger.valueOf(used * 100).compareTo(size.multiply(BigInteger.valueOf(NEARLY)))
                >= 0;
        if (exhausted ? full : nearly && !full) {
          findings.ofNetwork(
              network.name(),
              exhausted
                  ? "the addresses are exhausted: ADD fails"
                  : "the addresses are nearly exhausted",
              "%d of %d addresses of %s are reserved in %s"
                  .formatted(used, size, set.getFirst().subnet(), ranges.get().directory()),
              RemedyText.commented(
                  "cni gc " + network.name(),
                  "releases those of attachments that no longer exist; otherwise add a range"));
        }
      }
    }
  }

  private static void conntrackFull(HostView host, Findings findings) throws IOException {
    Optional<Long> count = host.kernel().number("net/netfilter/nf_conntrack_count");
    Optional<Long> max = host.kernel().number("net/netfilter/nf_conntrack_max");
    if (count.isPresent() && max.isPresent() && isNearlyFull(count.get(), max.get())) {
      findings.ofHost(
          "the connection tracking table is nearly full: then the kernel drops new connections",
          "net.netfilter.nf_conntrack_count = %d of nf_conntrack_max = %d"
              .formatted(count.get(), max.get()),
          "sysctl -w net.netfilter.nf_conntrack_max=" + max.get() * 2);
    }
  }

  private static void neighboursFull(HostView host, Findings findings)
      throws IOException, CniException {
    for (IpFamily family : IpFamily.values()) {
      String version = family == IpFamily.IPV4 ? "ipv4" : "ipv6";
      String key = "net/" + version + "/neigh/default/gc_thresh3";
      Optional<Long> max = host.kernel().number(key);
      long count =
          host.kernel().neighbours().stream()
              .filter(it -> IpFamily.of(it.address()) == family && isCounted(it))
              .count();
      if (max.isPresent() && isNearlyFull(count, max.get())) {
        findings.ofHost(
            "the neighbour table is nearly full: then new containers cannot be reached",
            "%d neighbours, %s = %d".formatted(count, key.replace('/', '.'), max.get()),
            "sysctl -w " + key.replace('/', '.') + "=" + max.get() * 2);
      }
    }
  }

  /** The kernel does not count permanent entries, nor those of multicast addresses (NUD_NOARP). */
  private static boolean isCounted(Neighbour neighbour) {
    return (neighbour.isResolved() || neighbour.isIncomplete())
        && (neighbour.state() & RtnetlinkConstants.NUD_PERMANENT) == 0;
  }

  private static boolean isNearlyFull(long count, long max) {
    return max > 0 && count * 100 >= max * NEARLY;
  }
}
