package cni.plugins.ipam;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/**
 * Feeds mutations of valid inputs to a parser, which must return or throw one of its documented
 * exceptions, within a bounded time. The mutations are the same in each run; with the system
 * property {@code cni.test.campaign.seconds} each campaign goes on for so long.
 */
public final class MutationCampaign {
  private static final int MUTATIONS = 4000;
  private static final Duration MAX_TIME = Duration.ofSeconds(20);

  /** Replace a JSON string or number, or are inserted anywhere. */
  private static final List<String> TOKENS =
      List.of(
          "\"\"",
          "\"\\u0000\"",
          "\"a\\u0000b\"",
          "\"/\"",
          "\"::/0\"",
          "\"::ffff:1.2.3.4/96\"",
          "\"0.0.0.0/0\"",
          "\"255.255.255.255/32\"",
          "\"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/1\"",
          "\"zz\"",
          "\"0\"",
          "\"256\"",
          "\"99999999999999999999\"",
          "null",
          "true",
          "[]",
          "[[]]",
          "{}",
          "-1",
          "0",
          "0.5",
          "1e999",
          "4294967296",
          "9223372036854775807",
          "9223372036854775808",
          "\u0000",
          "\n",
          "[",
          "}",
          ",");

  private static final Pattern LITERAL = Pattern.compile("\"(?:[^\"\\\\]|\\\\.)*\"|-?\\d+");

  private MutationCampaign() {}

  /** Parses an input. */
  @FunctionalInterface
  public interface Parser {
    /**
     * Parses an input.
     *
     * @throws Exception if the input is invalid
     */
    void parse(byte[] input) throws Exception;
  }

  /**
   * Runs a campaign.
   *
   * @param seed determines the mutations
   * @param valid inputs that the parser accepts
   * @param documented the exceptions that the parser may throw
   */
  public static void run(long seed, List<byte[]> valid, Parser parser, Class<?>... documented)
      throws Exception {
    for (byte[] input : valid) {
      parser.parse(input);
    }
    var random = new Random(seed);
    long seconds = Long.getLong("cni.test.campaign.seconds", 0);
    long end = System.nanoTime() + Duration.ofSeconds(seconds).toNanos();
    for (int i = 0; i < MUTATIONS || System.nanoTime() < end; i++) {
      byte[] input = mutate(valid, random);
      long start = System.nanoTime();
      try {
        parser.parse(input);
      } catch (Throwable e) {
        if (Arrays.stream(documented).noneMatch(it -> it.isInstance(e))) {
          throw new AssertionError(describe(seed, i, input), e);
        }
      }
      if (System.nanoTime() - start > MAX_TIME.toNanos()) {
        throw new AssertionError("takes more than " + MAX_TIME + ": " + describe(seed, i, input));
      }
    }
  }

  private static String describe(long seed, int mutation, byte[] input) {
    return "seed %d, mutation %d, input in Base64: %s"
        .formatted(seed, mutation, Base64.getEncoder().encodeToString(input));
  }

  private static byte[] mutate(List<byte[]> valid, Random random) {
    byte[] input = valid.get(random.nextInt(valid.size()));
    for (int change = random.nextInt(4); change >= 0; change--) {
      input =
          switch (random.nextInt(6)) {
            case 0 -> flip(input, random);
            case 1 -> splice(input, input, random);
            case 2 -> splice(input, valid.get(random.nextInt(valid.size())), random);
            case 3 -> Arrays.copyOf(input, random.nextInt(input.length + 1));
            case 4 -> insertToken(input, random);
            default -> replaceLiteral(input, random);
          };
    }
    return input;
  }

  private static byte[] flip(byte[] input, Random random) {
    byte[] flipped = input.clone();
    for (int i = random.nextInt(4); i >= 0 && input.length > 0; i--) {
      flipped[random.nextInt(input.length)] = (byte) random.nextInt();
    }
    return flipped;
  }

  /** Replaces a part, which may be empty, by a part of another input. */
  private static byte[] splice(byte[] input, byte[] other, Random random) {
    int from = random.nextInt(input.length + 1);
    int to = from + random.nextInt(Math.min(16, input.length - from) + 1);
    int start = random.nextInt(other.length + 1);
    int end = start + random.nextInt(Math.min(64, other.length - start) + 1);
    return replace(input, from, to, Arrays.copyOfRange(other, start, end));
  }

  private static byte[] insertToken(byte[] input, Random random) {
    int at = random.nextInt(input.length + 1);
    return replace(input, at, at, token(random));
  }

  private static byte[] token(Random random) {
    return TOKENS.get(random.nextInt(TOKENS.size())).getBytes(StandardCharsets.ISO_8859_1);
  }

  private static byte[] replaceLiteral(byte[] input, Random random) {
    String text = new String(input, StandardCharsets.ISO_8859_1);
    List<MatchResult> literals = new ArrayList<>(LITERAL.matcher(text).results().toList());
    if (literals.isEmpty()) {
      return flip(input, random);
    }
    MatchResult literal = literals.get(random.nextInt(literals.size()));
    return replace(input, literal.start(), literal.end(), token(random));
  }

  private static byte[] replace(byte[] input, int from, int to, byte[] by) {
    byte[] result = new byte[input.length - (to - from) + by.length];
    System.arraycopy(input, 0, result, 0, from);
    System.arraycopy(by, 0, result, from, by.length);
    System.arraycopy(input, to, result, from + by.length, input.length - to);
    return result;
  }
}
