// SPDX-License-Identifier: Apache-2.0
package cni.doctor.metrics;

import cni.api.Verb;
import cni.runtime.PluginCallObserver;
import java.util.Comparator;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Counts the calls of plugins and their durations, by plugin, verb and outcome. */
public final class PluginCallMetrics implements PluginCallObserver {
  private static final Comparator<Kind> ORDER =
      Comparator.comparing(Kind::type).thenComparing(Kind::verb).thenComparing(Kind::succeeded);

  private final Map<Kind, DurationHistogram> kinds = new ConcurrentHashMap<>();

  /** Creates metrics without calls. */
  public PluginCallMetrics() {}

  private record Kind(String type, Verb verb, boolean succeeded) {
    String[] labels() {
      return new String[] {
        "plugin", type, "verb", verb.name(), "outcome", succeeded ? "success" : "error"
      };
    }
  }

  @Override
  public void ended(String type, Verb verb, boolean succeeded, long nanos) {
    kinds.computeIfAbsent(new Kind(type, verb, succeeded), _ -> new DurationHistogram()).add(nanos);
  }

  /** Writes the metrics. */
  public void write(MetricsText text) {
    MetricsText.Metric durations =
        text.metric(
            "cni_plugin_call_duration_seconds",
            MetricsText.Type.HISTOGRAM,
            "Durations of plugin calls, with the delegates that they call.");
    kinds.entrySet().stream()
        .sorted(Map.Entry.comparingByKey(ORDER))
        .forEach(it -> durations.add(it.getValue().snapshot(), it.getKey().labels()));
  }
}
