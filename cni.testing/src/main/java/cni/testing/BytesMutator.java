// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/**
 * Mutations of inputs that are JSON, other text or binary. About half of those of JSON are JSON:
 * literals and whole values are replaced by others.
 */
public final class BytesMutator {
  private static final int MAX_CHANGES = 4;

  /** Replace a literal or a value, or are inserted anywhere. */
  private static final List<String> TOKENS =
      List.of(
          "\"\"",
          "\"x\"",
          "\"\\u0000\"",
          "\"a\\u0000b\"",
          "\"\\ud800\"",
          "\"\u00c3\u00a9\"", // é in UTF-8
          "\"" + "y".repeat(300) + "\"",
          "\"/\"",
          "\"a/b\"",
          "\"../../x\"",
          "\"::/0\"",
          "\"::/129\"",
          "\"::ffff:1.2.3.4/96\"",
          "\"fd00::/127\"",
          "\"10.1.0.1\"",
          "\"10.1.0.0/33\"",
          "\"0.0.0.0/0\"",
          "\"255.255.255.255/32\"",
          "\"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/1\"",
          "\"1.1.0\"",
          "\"9.9.9\"",
          "\"zz\"",
          "\"0\"",
          "\"256\"",
          "\"99999999999999999999\"",
          "null",
          "true",
          "[]",
          "[[]]",
          "{}",
          "{\"type\":\"x\"}",
          "-1",
          "0",
          "0.5",
          "1e999",
          "4294967296",
          "9223372036854775807",
          "9223372036854775808",
          "99999999999999999999",
          "\u0000",
          "\n",
          "[",
          "[".repeat(2000),
          "}",
          ",");

  private static final Pattern LITERAL = Pattern.compile("\"[^\"]*+\"|-?\\d++");

  /** What follows a colon or begins a list, up to the next delimiter. */
  private static final Pattern VALUE = Pattern.compile("(?<=[:\\[])[^,\\]}]*");

  private BytesMutator() {}

  /** Returns one of the inputs with one to {@value #MAX_CHANGES} changes. */
  public static byte[] mutate(List<byte[]> inputs, Random random) {
    byte[] input = inputs.get(random.nextInt(inputs.size()));
    for (int change = random.nextInt(MAX_CHANGES); change >= 0; change--) {
      input =
          switch (random.nextInt(8)) {
            case 0 -> flip(input, random);
            case 1 -> splice(input, input, random);
            case 2 -> splice(input, inputs.get(random.nextInt(inputs.size())), random);
            case 3 -> Arrays.copyOf(input, random.nextInt(input.length + 1));
            case 4 -> insertToken(input, random);
            case 5 -> replaceMatch(VALUE, input, random);
            default -> replaceMatch(LITERAL, input, random);
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

  /** Replaces what a pattern matches by a token. */
  private static byte[] replaceMatch(Pattern pattern, byte[] input, Random random) {
    String text = new String(input, StandardCharsets.ISO_8859_1);
    List<MatchResult> matches = pattern.matcher(text).results().toList();
    if (matches.isEmpty()) {
      return flip(input, random);
    }
    MatchResult match = matches.get(random.nextInt(matches.size()));
    return replace(input, match.start(), match.end(), token(random));
  }

  private static byte[] replace(byte[] input, int from, int to, byte[] by) {
    byte[] result = new byte[input.length - (to - from) + by.length];
    System.arraycopy(input, 0, result, 0, from);
    System.arraycopy(by, 0, result, from, by.length);
    System.arraycopy(input, to, result, from + by.length, input.length - to);
    return result;
  }
}
