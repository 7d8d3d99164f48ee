// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.InetAddresses;
import cni.doctor.path.PathStep.State;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** A report as lines of text: the verdict, then the path from top to bottom. */
public final class PathText {
  private PathText() {}

  /** Returns the lines. */
  public static List<String> lines(PathReport report) {
    List<String> lines = new ArrayList<>();
    lines.add(verdict(report));
    report
        .finding()
        .filter(it -> !it.remedy().isEmpty())
        .ifPresent(it -> lines.add("  mend: " + it.remedy()));
    lines.add("");
    lines.addAll(steps(report.steps()));
    if (!report.notes().isEmpty()) {
      lines.add("");
      report.notes().forEach(note -> lines.add("note: " + note));
    }
    return lines;
  }

  /** Returns the verdict: {@code TCP 10.1.0.2 to 10.1.0.3:80 does not arrive: dropped by …}. */
  public static String verdict(PathReport report) {
    PathQuery query = report.query();
    String source =
        report.sourceAddress().map(it -> " (" + InetAddresses.format(it) + ")").orElse("");
    String address = InetAddresses.format(query.address());
    boolean isBracketed = query.protocol().hasPorts() && address.indexOf(':') >= 0;
    String to = isBracketed ? "[" + address + "]" : address;
    String port = query.protocol().hasPorts() ? ":" + query.port() : "";
    String size = query.size() > 0 ? " of " + query.size() + " bytes" : "";
    String conjunction = report.fate().isGood() ? ", but " : ": ";
    return "%s%s from %s%s to %s (%s%s) %s%s"
        .formatted(
            query.protocol(),
            size,
            query.source().name(),
            source,
            query.destination().name(),
            to,
            port,
            report.fate(),
            report.finding().map(it -> conjunction + it.text()).orElse(""));
  }

  private static List<String> steps(List<PathStep> steps) {
    List<String> lines = new ArrayList<>();
    String place = "";
    for (PathStep step : steps) {
      if (!step.place().equals(place)) {
        place = step.place();
        lines.add((lines.isEmpty() ? "" : "│ ").stripTrailing());
        lines.add("■ " + place);
      }
      String stage = step.stage().name().toLowerCase(Locale.ROOT);
      lines.add("│ " + mark(step.state()) + " " + stage + ": " + step.text());
      step.rules().forEach(rule -> lines.add("│     rule " + rule));
    }
    if (!lines.isEmpty()) {
      lines.removeFirst();
    }
    return lines;
  }

  private static String mark(State state) {
    return switch (state) {
      case PASSED -> "✓";
      case FAILED -> "✗";
      case NOT_REACHED -> "·";
    };
  }
}
