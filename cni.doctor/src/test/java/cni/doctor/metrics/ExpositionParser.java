// SPDX-License-Identifier: Apache-2.0
package cni.doctor.metrics;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A strict parser of Prometheus' text exposition format 0.0.4, written from the format's
 * description and independent of {@link MetricsText}. It refuses what Prometheus refuses, and what
 * "promtool check metrics" warns of: a sample without HELP and TYPE before it, metrics whose
 * samples are not together, duplicates, histograms that are not cumulative.
 */
final class ExpositionParser {
  private static final Pattern NAME = Pattern.compile("[a-zA-Z_:][a-zA-Z0-9_:]*");
  private static final Pattern LABEL = Pattern.compile("[a-zA-Z_][a-zA-Z0-9_]*");
  private static final Pattern DECLARATION = Pattern.compile("# (HELP|TYPE) (\\S+) (.+)");
  private static final Set<String> TYPES =
      Set.of("counter", "gauge", "histogram", "summary", "untyped");

  /** A sample: its name, its labels and its value. */
  record Sample(String name, Map<String, String> labels, double value) {}

  private final Map<String, String> types = new HashMap<>();
  private final Set<String> helped = new HashSet<>();
  private final Set<String> ended = new HashSet<>();
  private final Set<List<Object>> seen = new HashSet<>();
  private final List<Sample> samples = new ArrayList<>();
  private String current = "";

  private ExpositionParser() {}

  static List<Sample> parse(String text) {
    if (!text.isEmpty() && !text.endsWith("\n")) {
      throw new IllegalArgumentException("the last line does not end");
    }
    var parser = new ExpositionParser();
    text.lines().forEach(parser::line);
    parser.checkHistograms();
    return parser.samples;
  }

  private void line(String line) {
    if (line.startsWith("# HELP") || line.startsWith("# TYPE")) {
      declaration(line);
    } else if (!line.isEmpty() && !line.startsWith("#")) {
      sample(line);
    }
  }

  private void declaration(String line) {
    Matcher match = DECLARATION.matcher(line);
    require(match.matches() && NAME.matcher(match.group(2)).matches(), line);
    String name = match.group(2);
    enter(name, line);
    if (match.group(1).equals("HELP")) {
      require(helped.add(name), line);
    } else {
      require(TYPES.contains(match.group(3)) && types.put(name, match.group(3)) == null, line);
      require(!match.group(3).equals("counter") || name.endsWith("_total"), line);
    }
  }

  private void enter(String metric, String line) {
    if (!metric.equals(current)) {
      require(!ended.contains(metric), "samples are not together: " + line);
      ended.add(current);
      current = metric;
    }
  }

  private void sample(String line) {
    Matcher name = NAME.matcher(line);
    require(name.lookingAt(), line);
    int at = name.end();
    Map<String, String> labels = new LinkedHashMap<>();
    if (line.charAt(at) == '{') {
      at = labels(line, at + 1, labels);
    }
    require(line.charAt(at) == ' ', line);
    String number = line.substring(at + 1);
    require(number.matches("[+-]Inf|NaN|-?[0-9.]+(E-?[0-9]+)?"), line);
    String metric = metricOf(name.group());
    require(types.containsKey(metric) && helped.contains(metric), "undeclared: " + line);
    enter(metric, line);
    require(seen.add(List.of(name.group(), Map.copyOf(labels))), "twice: " + line);
    double value = number.equals("+Inf") ? Double.POSITIVE_INFINITY : Double.parseDouble(number);
    samples.add(new Sample(name.group(), labels, value));
  }

  private String metricOf(String sample) {
    for (String suffix : List.of("_bucket", "_sum", "_count")) {
      String base = sample.substring(0, Math.max(0, sample.length() - suffix.length()));
      if (sample.endsWith(suffix) && "histogram".equals(types.get(base))) {
        return base;
      }
    }
    return sample;
  }

  /** Parses labels up to the closing brace, and returns the position after it. */
  private static int labels(String line, int start, Map<String, String> labels) {
    int at = start;
    while (line.charAt(at) != '}') {
      Matcher name = LABEL.matcher(line).region(at, line.length());
      require(name.lookingAt() && line.startsWith("=\"", name.end()), line);
      var value = new StringBuilder();
      at = name.end() + 2;
      while (line.charAt(at) != '"') {
        if (line.charAt(at) == '\\') {
          at++;
          int escape = "\\\"n".indexOf(line.charAt(at));
          require(escape >= 0, line);
          value.append("\\\"\n".charAt(escape));
        } else {
          value.append(line.charAt(at));
        }
        at++;
      }
      require(labels.put(name.group(), value.toString()) == null, line);
      at++;
      if (line.charAt(at) == ',') {
        at++;
      } else {
        require(line.charAt(at) == '}', line);
      }
    }
    return at + 1;
  }

  private void checkHistograms() {
    Map<List<Object>, Double> last = new HashMap<>();
    for (Sample it : samples) {
      String metric = metricOf(it.name());
      if (!"histogram".equals(types.get(metric))) {
        continue;
      }
      Map<String, String> series = new HashMap<>(it.labels());
      String bound = series.remove("le");
      List<Object> key = List.of(metric, series);
      if (it.name().endsWith("_bucket")) {
        require(bound != null && it.value() >= last.getOrDefault(key, 0.0), it.toString());
        last.put(key, it.value());
      } else if (it.name().endsWith("_count")) {
        require(last.getOrDefault(key, -1.0) == it.value(), it + " is not the last bucket");
      }
    }
  }

  private static void require(boolean condition, String line) {
    if (!condition) {
      throw new IllegalArgumentException(line);
    }
  }
}
