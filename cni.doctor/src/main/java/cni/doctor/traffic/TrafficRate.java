// SPDX-License-Identifier: Apache-2.0
package cni.doctor.traffic;

import cni.netlink.ffm.route.LinkStatistics;
import cni.netlink.ffm.route.LinkStatistics.Counters;
import java.util.Optional;

/**
 * The traffic of an attachment between two samples, per second.
 *
 * @param receivedBytes the bytes that the container received
 * @param transmittedBytes the bytes that the container sent
 * @param receivedPackets the packets that the container received
 * @param transmittedPackets the packets that the container sent
 * @param drops the packets that were dropped in both directions, by interface and limits
 */
public record TrafficRate(
    double receivedBytes,
    double transmittedBytes,
    double receivedPackets,
    double transmittedPackets,
    double drops) {
  /**
   * Returns the rate between two samples of an attachment.
   *
   * @param seconds the time between the samples
   * @return absent if one of the samples has no counters, no time has passed, or the interface was
   *     created again in between, which starts its counters at zero
   */
  static Optional<TrafficRate> between(
      AttachmentTraffic earlier, AttachmentTraffic later, double seconds) {
    if (earlier.statistics().isEmpty() || later.statistics().isEmpty() || seconds <= 0) {
      return Optional.empty();
    }
    LinkStatistics before = earlier.statistics().get();
    LinkStatistics after = later.statistics().get();
    boolean isSameLink =
        before.link().index() == after.link().index()
            && isNotLess(before.received(), after.received())
            && isNotLess(before.transmitted(), after.transmitted());
    if (!isSameLink) {
      return Optional.empty();
    }
    return Optional.of(
        new TrafficRate(
            (after.received().bytes() - before.received().bytes()) / seconds,
            (after.transmitted().bytes() - before.transmitted().bytes()) / seconds,
            (after.received().packets() - before.received().packets()) / seconds,
            (after.transmitted().packets() - before.transmitted().packets()) / seconds,
            Math.max(0, later.drops() - earlier.drops()) / seconds));
  }

  private static boolean isNotLess(Counters before, Counters after) {
    return after.bytes() >= before.bytes() && after.packets() >= before.packets();
  }
}
