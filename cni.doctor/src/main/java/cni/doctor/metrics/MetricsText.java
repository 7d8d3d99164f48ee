// SPDX-License-Identifier: Apache-2.0
package cni.doctor.metrics;

import java.util.Locale;

/**
 * A text in Prometheus' exposition format, version 0.0.4. The samples of a metric follow its
 * declaration, as the format requires: a metric is complete before the next one is declared.
 */
public final class MetricsText {
  /** The media type of the format. */
  public static final String CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

  private final StringBuilder text = new StringBuilder(4096);

  /** Creates an empty text. */
  public MetricsText() {}

  /** The type of a metric, as {@code # TYPE} names it in lower case. */
  public enum Type {
    /** A number that only grows, until the process or the interface that counts starts again. */
    COUNTER,
    /** A number that goes up and down. */
    GAUGE,
    /** Counts of values by ranges, with their sum. */
    HISTOGRAM
  }

  /** A declared metric, to which samples are added. */
  public final class Metric {
    private final String name;

    private Metric(String name) {
      this.name = name;
    }

    /**
     * Adds a sample.
     *
     * @param labels names and values in turn
     */
    public Metric add(long value, String... labels) {
      sample(name, Long.toString(value), labels);
      return this;
    }

    /** Adds a sample, as {@link #add(long, String...)}. */
    public Metric add(double value, String... labels) {
      sample(name, number(value), labels);
      return this;
    }

    /** Adds the samples of a histogram of durations, in seconds. */
    Metric add(DurationHistogram.Snapshot histogram, String... labels) {
      String[] withBound = new String[labels.length + 2];
      System.arraycopy(labels, 0, withBound, 0, labels.length);
      withBound[labels.length] = "le";
      for (int i = 0; i < histogram.cumulative().length; i++) {
        withBound[labels.length + 1] = number(histogram.bound(i));
        sample(name + "_bucket", Long.toString(histogram.cumulative()[i]), withBound);
      }
      sample(name + "_sum", number(histogram.seconds()), labels);
      sample(name + "_count", Long.toString(histogram.count()), labels);
      return this;
    }
  }

  /**
   * Declares a metric.
   *
   * @param name in the naming convention of Prometheus: with the base unit as a suffix, and {@code
   *     _total} for counters
   * @param help a sentence about it
   */
  public Metric metric(String name, Type type, String help) {
    text.append("# HELP ").append(name).append(' ');
    escape(help, false);
    text.append("\n# TYPE ").append(name).append(' ');
    text.append(type.name().toLowerCase(Locale.ROOT)).append('\n');
    return new Metric(name);
  }

  private void sample(String name, String value, String... labels) {
    text.append(name);
    for (int i = 0; i < labels.length; i += 2) {
      text.append(i == 0 ? '{' : ',').append(labels[i]).append("=\"");
      escape(labels[i + 1], true);
      text.append('"');
    }
    text.append(labels.length == 0 ? "" : "}").append(' ').append(value).append('\n');
  }

  private static String number(double value) {
    return Double.isInfinite(value) ? "+Inf" : Double.toString(value);
  }

  private void escape(String value, boolean escapesQuotes) {
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      switch (c) {
        case '\\' -> text.append("\\\\");
        case '\n' -> text.append("\\n");
        case '"' -> text.append(escapesQuotes ? "\\\"" : "\"");
        default -> text.append(c);
      }
    }
  }

  /** Returns the text. */
  @Override
  public String toString() {
    return text.toString();
  }
}
