// SPDX-License-Identifier: Apache-2.0
package cni.policy.file;

import cni.api.Json;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Collects the problems of one file. */
final class ProblemCollector {
  /** The largest number of problems of a file; more do not help its author. */
  private static final int MAX_PROBLEMS = 1000;

  /**
   * The deepest value of a policy has 11 levels: an expression of a peer in a list of manifests.
   */
  private static final int MAX_DEPTH = 16;

  /** The path of the outermost value. */
  private static final String WHOLE_TEXT = "";

  private final Path file;
  private final List<Problem> problems = new ArrayList<>();
  private int omitted;

  ProblemCollector(Path file) {
    this.file = file;
  }

  /** Returns how many problems were found, including those that are not kept. */
  int count() {
    return problems.size() + omitted;
  }

  /** Adds a problem of the whole file. */
  void add(OptionalInt line, String remedy) {
    problems.add(new Problem(file, line, "", "", remedy));
  }

  /**
   * Adds a problem of a value.
   *
   * @param value null if it is missing
   */
  void add(String key, @Nullable JsonNode value, String remedy) {
    if (problems.size() >= MAX_PROBLEMS) {
      omitted++;
      return;
    }
    String text = value == null ? "" : Json.excerpt(value);
    problems.add(new Problem(file, OptionalInt.empty(), key, text, remedy));
  }

  /** Returns the problems with the lines of their keys in the file's text. */
  List<Problem> withLines(byte[] text) {
    if (problems.stream().allMatch(it -> it.key().isEmpty())) {
      return problems; // the text may be no JSON
    }
    if (omitted > 0) {
      add(OptionalInt.empty(), "has " + omitted + " more problems: correct the others first");
    }
    Set<String> keys = new HashSet<>();
    keys.add(WHOLE_TEXT);
    for (Problem problem : problems) {
      for (String key = problem.key(); !key.isEmpty(); key = parent(key)) {
        keys.add(key);
      }
    }
    Map<String, Integer> lines = Json.lines(text, keys, MAX_DEPTH);
    return problems.stream().map(it -> withLine(it, lines)).sorted(Problem.BY_LINE).toList();
  }

  /** Uses the line of the nearest object around a key that is missing. */
  private static Problem withLine(Problem problem, Map<String, Integer> lines) {
    String key = problem.key();
    if (key.isEmpty()) {
      return problem;
    }
    while (!key.isEmpty() && !lines.containsKey(key)) {
      key = parent(key);
    }
    Integer line = lines.get(key);
    return line == null
        ? problem
        : new Problem(
            problem.file(), OptionalInt.of(line), problem.key(), problem.value(), problem.remedy());
  }

  private static String parent(String key) {
    return key.substring(0, Math.max(0, Math.max(key.lastIndexOf('.'), key.lastIndexOf('['))));
  }
}
