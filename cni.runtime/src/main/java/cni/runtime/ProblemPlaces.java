// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.ConfigFault;
import cni.api.Json;
import cni.runtime.ConfigFindings.Entry;
import cni.runtime.ConfigProblem.Severity;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * Finds the files and lines of findings, whose keys are paths in the list form of a configuration.
 *
 * @param file the file of the network
 * @param text its text; absent if it is not known
 * @param single whether the file is that of a single plugin, whose keys are at the top
 * @param inlined the number of plugins in the file of the network
 * @param additional the other plugins, each from its own file
 */
record ProblemPlaces(
    Optional<Path> file,
    Optional<byte[]> text,
    boolean single,
    int inlined,
    AdditionalPlugins additional) {
  private static final int MAX_DEPTH = 32;

  /** Returns the problems, those of each file in the order of their lines. */
  List<ConfigProblem> locate(List<Entry> findings) {
    List<ConfigProblem> problems = new ArrayList<>();
    var own = new ArrayList<Entry>();
    Map<Integer, List<Entry>> others = new HashMap<>();
    for (Entry finding : findings) {
      int index = additionalIndex(finding.fault().key());
      if (index < 0) {
        own.add(single ? relative(finding, "plugins[0]") : finding);
      } else {
        others
            .computeIfAbsent(index, _ -> new ArrayList<>())
            .add(relative(finding, "plugins[" + (inlined + index) + "]"));
      }
    }
    addAll(file, text, own, problems);
    for (int i = 0; i < additional.files().size(); i++) {
      addAll(
          Optional.of(additional.files().get(i)),
          Optional.of(additional.texts().get(i)),
          others.getOrDefault(i, List.of()),
          problems);
    }
    return problems;
  }

  /** Returns the index of the additional plugin that a key belongs to, or -1. */
  private int additionalIndex(String key) {
    for (int i = 0; i < additional.files().size(); i++) {
      String plugin = "plugins[" + (inlined + i) + "]";
      if (key.equals(plugin) || key.startsWith(plugin + ".")) {
        return i;
      }
    }
    return -1;
  }

  private static Entry relative(Entry finding, String plugin) {
    ConfigFault fault = finding.fault();
    String key = fault.key();
    if (key.equals(plugin)) {
      key = "";
    } else if (key.startsWith(plugin + ".")) {
      key = key.substring(plugin.length() + 1);
    }
    return new Entry(finding.severity(), new ConfigFault(key, fault.value(), fault.reason()));
  }

  private static void addAll(
      Optional<Path> file,
      Optional<byte[]> text,
      List<Entry> findings,
      List<ConfigProblem> problems) {
    Set<String> keys = new HashSet<>();
    keys.add(ConfigFindings.WHOLE);
    for (Entry finding : findings) {
      for (String key = finding.fault().key(); !key.isEmpty(); key = ConfigFindings.parent(key)) {
        keys.add(key);
      }
    }
    Map<String, Integer> lines =
        text.isEmpty() || findings.isEmpty() ? Map.of() : Json.lines(text.get(), keys, MAX_DEPTH);
    findings.stream()
        .map(it -> problem(it.severity(), file, line(it.fault().key(), lines), it.fault()))
        .sorted(Comparator.comparingInt(it -> it.line().orElse(0)))
        .forEach(problems::add);
  }

  /** Returns the line of a key or, if it is missing, of the nearest object around it. */
  private static OptionalInt line(String missingOrPresent, Map<String, Integer> lines) {
    if (missingOrPresent.isEmpty()) {
      return OptionalInt.empty(); // the file as a whole
    }
    String key = missingOrPresent;
    while (!key.isEmpty() && !lines.containsKey(key)) {
      key = ConfigFindings.parent(key);
    }
    Integer line = lines.get(key);
    return line == null ? OptionalInt.empty() : OptionalInt.of(line);
  }

  /**
   * Returns a problem; a reason of the form {@code what is wrong: what would be right} is split.
   */
  static ConfigProblem problem(
      Severity severity, Optional<Path> file, OptionalInt line, ConfigFault fault) {
    String reason = fault.reason();
    int colon = reason.indexOf(": ");
    int split = colon < 0 ? reason.indexOf("; ") : colon;
    return new ConfigProblem(
        severity,
        file,
        line,
        fault.key(),
        fault.value(),
        split < 0 ? reason : reason.substring(0, split),
        split < 0 ? "" : reason.substring(split + 2));
  }
}
