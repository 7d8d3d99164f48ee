package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.Deadline;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/**
 * How long to wait for an answer before a message is sent again: first a second, then each time
 * twice as long up to a limit, a tenth more or less by chance (RFC 2131, 4.1; RFC 8415, 15).
 */
final class Pace {
  private static final Duration FIRST = Duration.ofSeconds(1);

  private final Deadline deadline;
  private final Duration longest;
  private Duration next = FIRST;

  Pace(Deadline deadline, Duration longest) {
    this.deadline = deadline;
    this.longest = longest;
  }

  /**
   * The time to wait now, not beyond the deadline.
   *
   * @param what what is waited for, for messages
   * @throws CniException code 11 if the deadline has passed or the thread is interrupted
   */
  Duration next(String what) throws CniException {
    deadline.check(what);
    long millis = next.toMillis();
    long jitter = ThreadLocalRandom.current().nextLong(-millis / 10, millis / 10 + 1);
    Duration doubled = next.multipliedBy(2);
    next = doubled.compareTo(longest) < 0 ? doubled : longest;
    Duration pause = Duration.ofMillis(millis + jitter);
    Duration left = deadline.remaining();
    return pause.compareTo(left) < 0 ? pause : left;
  }
}
