// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import java.time.Duration;
import java.time.Instant;
import java.util.Random;

/**
 * A test that repeats random operations for a while: short in every build, long when the system
 * property {@code cni.test.campaign.seconds} says how long. Its seed is the same in each build
 * unless the system property {@code cni.test.campaign.seed} gives another; it is printed.
 */
public final class Campaign {
  private static final String SECONDS = "cni.test.campaign.seconds";
  private static final String SEED = "cni.test.campaign.seed";
  private static final long USUAL_SEED = 19;

  private final Instant end;
  private final long seed;
  private final Random random;

  private Campaign(Instant end, long seed) {
    this.end = end;
    this.seed = seed;
    this.random = new Random(seed);
  }

  /**
   * Starts a campaign and prints its seed.
   *
   * @param name what is printed with the seed
   * @param usual how long it takes without the system property
   */
  public static Campaign start(String name, Duration usual) {
    long seconds = Long.getLong(SECONDS, usual.toSeconds());
    long seed = Long.getLong(SEED, USUAL_SEED);
    System.out.println(name + ": " + seconds + " s, -D" + SEED + "=" + seed);
    return new Campaign(Instant.now().plusSeconds(seconds), seed);
  }

  /** Returns whether the time is not over. */
  public boolean goesOn() {
    return Instant.now().isBefore(end);
  }

  /** Returns the seed. */
  public long seed() {
    return seed;
  }

  /** Returns the source of random numbers, which starts with the seed. Not to be shared. */
  public Random random() {
    return random;
  }
}
