// SPDX-License-Identifier: Apache-2.0
package cni.api;

import java.time.Duration;
import java.util.Random;

/**
 * The repetition of a randomized test: a fixed number of rounds with a fixed seed, or, with {@code
 * -Dcni.test.campaign.seconds=N}, rounds with other seeds for that long.
 */
final class RandomRounds {
  private static final Duration TIME =
      Duration.ofSeconds(Long.getLong("cni.test.campaign.seconds", 0));

  private static final long FIRST_SEED = 20261128;

  private RandomRounds() {}

  /** One round, whose random decisions all come from the given source. */
  interface Round {
    void run(Random random) throws Exception;
  }

  /** Runs a round repeatedly; a failure names the seed that repeats it. */
  static void repeat(int rounds, Round round) {
    long end = System.nanoTime() + TIME.toNanos();
    for (int i = 0; i < rounds || System.nanoTime() < end; i++) {
      long seed = FIRST_SEED + i;
      try {
        round.run(new Random(seed));
      } catch (Exception | Error e) {
        throw new AssertionError("seed " + seed + ": " + e, e);
      }
    }
  }
}
