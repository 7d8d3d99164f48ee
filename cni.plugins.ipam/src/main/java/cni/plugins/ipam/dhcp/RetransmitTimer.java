package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.Deadline;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/**
 * How long to wait for an answer before a message is sent again: first a second, then each time
 * twice as long up to a limit, a tenth more or less by chance (RFC 2131, 4.1; RFC 8415, 15).
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
   * The time to wait now, not beyond the deadline.
   *
   * @param what what is waited for, for messages
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
