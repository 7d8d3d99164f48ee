// SPDX-License-Identifier: Apache-2.0
package cni.doctor.traffic;

import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The counters of all selected attachments at one moment.
 *
 * @param time when they were read
 * @param nanos the same moment on the clock of {@link System#nanoTime}
 * @param attachments the attachments, in the order of the cache
 * @param pools the address pools of the networks
 */
public record TrafficSample(
    Instant time, long nanos, List<AttachmentTraffic> attachments, List<AddressPool> pools) {
  private static final double NANOS_PER_SECOND = 1e9;

  /** Copies the lists. */
  public TrafficSample {
    attachments = List.copyOf(attachments);
    pools = List.copyOf(pools);
  }

  /**
   * Returns the rates since an earlier sample. Attachments without a rate are left out: new ones,
   * and those whose interface is gone or was created again.
   */
  public Map<AttachmentTraffic.Key, TrafficRate> ratesSince(TrafficSample earlier) {
    Map<AttachmentTraffic.Key, AttachmentTraffic> before = new HashMap<>();
    earlier.attachments.forEach(it -> before.put(it.key(), it));
    double seconds = (nanos - earlier.nanos) / NANOS_PER_SECOND;
    Map<AttachmentTraffic.Key, TrafficRate> rates = new HashMap<>();
    for (AttachmentTraffic it : attachments) {
      Optional.ofNullable(before.get(it.key()))
          .flatMap(found -> TrafficRate.between(found, it, seconds))
          .ifPresent(rate -> rates.put(it.key(), rate));
    }
    return rates;
  }
}
