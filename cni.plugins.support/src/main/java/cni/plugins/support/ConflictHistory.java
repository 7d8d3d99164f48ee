// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;

/**
 * Decides which conflicts about the addresses of an interface are reported: each foreign hardware
 * address once per IP address, and one per IP address and minute, whatever a hostile neighbour
 * sends. Not thread-safe.
 *
 * @param <A> the type of the IP addresses
 */
final class ConflictHistory<A> {
  /** The shortest time between two reports about an address. */
  static final Duration REPORT_INTERVAL = Duration.ofMinutes(1);

  /** How many hardware addresses are remembered per IP address; the oldest are forgotten. */
  static final int MAX_REMEMBERED = 64;

  private final Map<A, Reported> reported = new HashMap<>();

  /** The hardware addresses reported about an IP address, and when the last was. */
  private static final class Reported {
    final LinkedHashSet<String> macs = new LinkedHashSet<>();
    long lastNanos;
  }

  /**
   * Returns whether a conflict is to be reported.
   *
   * @param now {@link System#nanoTime}
   */
  boolean isDue(A address, String mac, long now) {
    Reported before = reported.get(address);
    return before == null
        || (now - before.lastNanos >= REPORT_INTERVAL.toNanos() && !before.macs.contains(mac));
  }

  /** Records that a conflict is reported. */
  void record(A address, String mac, long now) {
    Reported entry = reported.computeIfAbsent(address, _ -> new Reported());
    entry.lastNanos = now;
    entry.macs.add(mac);
    if (entry.macs.size() > MAX_REMEMBERED) {
      entry.macs.removeFirst();
    }
  }
}
