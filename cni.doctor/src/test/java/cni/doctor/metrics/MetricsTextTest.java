// SPDX-License-Identifier: Apache-2.0
package cni.doctor.metrics;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import cni.api.Verb;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The exposition format, read back by an independent parser. */
class MetricsTextTest {
  @Test
  void labelValuesAreEscaped() {
    String hostile = "a\"b\\c\nd}=,e é";
    var text = new MetricsText();
    text.metric("m_total", MetricsText.Type.COUNTER, "Line\nbreaks and \\ and \" in help.")
        .add(Long.MAX_VALUE, "x", hostile, "y", "");
    assertEquals(
        """
        # HELP m_total Line\\nbreaks and \\\\ and " in help.
        # TYPE m_total counter
        m_total{x="a\\"b\\\\c\\nd}=,e é",y=""} 9223372036854775807
        """,
        text.toString());
    List<ExpositionParser.Sample> samples = ExpositionParser.parse(text.toString());
    assertEquals(Map.of("x", hostile, "y", ""), samples.getFirst().labels());
  }

  @Test
  void durationsAreCountedInTheirRange() {
    var calls = new PluginCallMetrics();
    calls.ended("bridge", Verb.ADD, true, TimeUnit.MICROSECONDS.toNanos(1000)); // le="0.001"
    calls.ended("bridge", Verb.ADD, true, TimeUnit.MICROSECONDS.toNanos(1001));
    calls.ended("bridge", Verb.ADD, true, TimeUnit.SECONDS.toNanos(61));
    calls.ended("bridge", Verb.ADD, false, TimeUnit.MILLISECONDS.toNanos(1));
    var text = new MetricsText();
    calls.write(text);
    List<ExpositionParser.Sample> samples = ExpositionParser.parse(text.toString());
    assertEquals(1, bucket(samples, "success", "0.001"));
    assertEquals(2, bucket(samples, "success", "0.0025"));
    assertEquals(2, bucket(samples, "success", "60.0"));
    assertEquals(3, bucket(samples, "success", "+Inf"));
    assertEquals(1, bucket(samples, "error", "+Inf"));
    double sum =
        samples.stream()
            .filter(it -> it.name().endsWith("_sum"))
            .filter(it -> it.labels().containsValue("success"))
            .findFirst()
            .orElseThrow()
            .value();
    assertEquals(61.002001, sum, 1e-9);
  }

  private static double bucket(
      List<ExpositionParser.Sample> samples, String outcome, String bound) {
    var labels = Map.of("plugin", "bridge", "verb", "ADD", "outcome", outcome, "le", bound);
    return samples.stream()
        .filter(it -> it.name().equals("cni_plugin_call_duration_seconds_bucket"))
        .filter(it -> it.labels().equals(labels))
        .findFirst()
        .orElseThrow()
        .value();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "m 1\n", // not declared
        "# HELP m h\n# TYPE m gauge\nm 1", // not ended
        "# HELP m h\n# TYPE m gauge\nm{a=\"\\x\"} 1\n",
        "# HELP m h\n# TYPE m gauge\nm 1\nm 2\n",
        "# HELP m h\n# TYPE m gauge\nm 0x1\n",
        "# HELP m h\n# TYPE m counter\nm 1\n",
        "# HELP a h\n# TYPE a gauge\n# HELP b h\n# TYPE b gauge\na 1\n",
        "# HELP h h\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\n"
      })
  void parserRefusesWhatIsMalformed(String text) {
    assertThrows(IllegalArgumentException.class, () -> ExpositionParser.parse(text));
  }
}
