// SPDX-License-Identifier: Apache-2.0
package cni.policy.file;

import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.Collectors;

/**
 * A reason why a file of policies is refused.
 *
 * @param file the file, or the directory if that cannot be read
 * @param line the line of the value, from 1; absent if the whole file is meant
 * @param key the path of the key, such as {@code ingress[0].ports[1].port}; empty if the whole file
 *     is meant
 * @param value the value as JSON, shortened if it is long; empty if there is none
 * @param remedy what is wrong and what would be right; continues the sentence that begins with the
 *     key and the value
 */
public record Problem(Path file, OptionalInt line, String key, String value, String remedy) {
  /** The order of the lines of a file; problems of the whole file are first. */
  static final Comparator<Problem> BY_LINE = Comparator.comparingInt(it -> it.line().orElse(0));

  /** Returns the problem on one line: {@code file:line: key value remedy}. */
  @Override
  public String toString() {
    String place = line.isPresent() ? file + ":" + line.getAsInt() : file.toString();
    String subject = (key.isEmpty() ? "" : " " + key) + (value.isEmpty() ? "" : " " + value);
    return place + ":" + subject + " " + remedy;
  }

  /** Returns several problems as one message. */
  public static String join(List<Problem> problems) {
    return problems.stream().map(Problem::toString).collect(Collectors.joining("; "));
  }
}
