// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.Deadline;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/**
 * The retransmission timer of a client: exponential backoff from one second to a limit, randomized
 * by ±10 % (RFC 2131, section 4.1; RFC 8415, section 15).
 */
final class RetransmitTimer {
  private static final Duration INITIAL_DELAY = Duration.ofSeconds(1);

  private final Deadline deadline;
  private final Duration maxDelay;
  private Duration nextDelay = INITIAL_DELAY;

  RetransmitTimer(Deadline deadline, Duration longest) {
    this.deadline = deadline;
    this.maxDelay = longest;
  }

  /**
   * Returns how long to wait for a reply before the next message, at most until the deadline.
   *
   * @param what the awaited condition, for the error message
   * @throws CniException code 11 if the deadline has passed or the thread is interrupted
   */
  Duration nextDelay(String what) throws CniException {
    deadline.check(what);
    long millis = nextDelay.toMillis();
    long jitter = ThreadLocalRandom.current().nextLong(-millis / 10, millis / 10 + 1);
    Duration doubled = nextDelay.multipliedBy(2);
    nextDelay = doubled.compareTo(maxDelay) < 0 ? doubled : maxDelay;
    Duration pause = Duration.ofMillis(millis + jitter);
    Duration left = deadline.remaining();
    return pause.compareTo(left) < 0 ? pause : left;
  }
}
