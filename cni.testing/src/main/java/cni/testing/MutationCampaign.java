// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.function.Function;

/**
 * Feeds mutations of valid inputs to a target, such as a parser, which must accept each or throw
 * one of its documented exceptions, within {@link #MAX_TIME}:
 *
 * <pre>{@code
 * MutationCampaign.run(
 *     "lease files", List.of(valid), bytes -> Json.parse(bytes, "x"), CniException.class);
 * }</pre>
 *
 * <p>As of any {@link Campaign}, the mutations are the same in each build, and system properties
 * set the seed and the duration. Each round has a seed of its own; a failure names it, and {@code
 * -Dcni.test.campaign.seed} with that seed repeats it in the first round.
 */
public final class MutationCampaign {
  /** How many mutations of bytes are tried at least. */
  private static final int ROUNDS = 4000;

  /** How long a target may take for one input: much longer than it needs on a busy machine. */
  private static final Duration MAX_TIME = Duration.ofSeconds(20);

  private final Campaign campaign;
  private final Class<?>[] documented;
  private int accepted;
  private int refused;

  private MutationCampaign(Campaign campaign, Class<?>... documented) {
    this.campaign = campaign;
    this.documented = documented;
  }

  /**
   * The code under test.
   *
   * @param <T> the type of its inputs
   */
  @FunctionalInterface
  public interface Target<T> {
    /**
     * Takes an input.
     *
     * @throws Exception if the input is invalid
     */
    void accept(T input) throws Exception;
  }

  /**
   * What a target did.
   *
   * @param accepted how many inputs it accepted
   * @param refused for how many it threw a documented exception
   */
  public record Outcome(int accepted, int refused) {}

  /**
   * Runs a campaign of mutated bytes, by {@link BytesMutator}.
   *
   * @param name what is printed with the seed
   * @param valid inputs that the target accepts, which is tried first
   * @param documented the exceptions that the target may throw
   * @throws AssertionError if the target throws another one, or takes too long
   * @throws Exception if the target refuses a valid input
   */
  public static Outcome run(
      String name, List<byte[]> valid, Target<byte[]> target, Class<?>... documented)
      throws Exception {
    for (byte[] input : valid) {
      target.accept(input);
    }
    return run(name, ROUNDS, random -> BytesMutator.mutate(valid, random), target, documented);
  }

  /**
   * Runs a campaign of inputs of any type.
   *
   * @param name what is printed with the seed
   * @param rounds how many inputs are tried at least
   * @param inputs makes an input by means of the given source of random numbers and no other
   * @param documented the exceptions that the target may throw
   * @throws AssertionError if the target throws another one, or takes too long
   */
  public static <T> Outcome run(
      String name,
      int rounds,
      Function<Random, T> inputs,
      Target<T> target,
      Class<?>... documented) {
    var run = new MutationCampaign(Campaign.start(name, Duration.ZERO), documented);
    for (int i = 0; i < rounds || run.campaign.goesOn(); i++) {
      long seed = run.campaign.seed() + i;
      run.round(seed, inputs.apply(randomOf(seed)), target);
    }
    return new Outcome(run.accepted, run.refused);
  }

  /** The first numbers of {@link Random} are alike for seeds that follow each other. */
  private static Random randomOf(long seed) {
    return new Random(new SplittableRandom(seed).nextLong());
  }

  private <T> void round(long seed, T input, Target<T> target) {
    String description = describe(seed, input); // before the target may change the input
    long start = System.nanoTime();
    try {
      target.accept(input);
      accepted++;
    } catch (Throwable e) {
      if (Arrays.stream(documented).noneMatch(it -> it.isInstance(e))) {
        throw new AssertionError(description + ": " + e, e);
      }
      refused++;
    }
    if (System.nanoTime() - start > MAX_TIME.toNanos()) {
      throw new AssertionError("takes more than " + MAX_TIME + ": " + description);
    }
  }

  private static String describe(long seed, Object input) {
    return input instanceof byte[] bytes
        ? "seed %d, input in Base64: %s".formatted(seed, Base64.getEncoder().encodeToString(bytes))
        : "seed %d, input: %s".formatted(seed, input);
  }
}
