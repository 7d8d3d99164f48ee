// SPDX-License-Identifier: Apache-2.0
package cni.doctor.traffic;

import cni.netlink.ffm.tc.QdiscStatistics;

/**
 * The limit of one direction of an attachment's traffic, as the queueing discipline of the kernel
 * enforces it (the bandwidth plugin).
 *
 * @param bitsPerSecond the average rate that is allowed
 * @param drops the packets that were dropped because the queue was full
 * @param overlimits how often a packet had to wait
 * @param backlog the bytes that wait now
 */
public record Shaping(long bitsPerSecond, long drops, long overlimits, long backlog) {
  static Shaping of(long bytesPerSecond, QdiscStatistics statistics) {
    return new Shaping(
        Math.min(bytesPerSecond, Long.MAX_VALUE / 8) * 8,
        statistics.drops(),
        statistics.overlimits(),
        statistics.backlog());
  }
}
