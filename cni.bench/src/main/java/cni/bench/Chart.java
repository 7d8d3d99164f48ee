// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;

/**
 * A line chart as SVG. Both axes are logarithmic, since ratios are compared; x = 0 is drawn at the
 * left edge.
 */
final class Chart {
  private static final int WIDTH = 760;
  private static final int HEIGHT = 420;
  private static final int LEFT = 70;
  private static final int RIGHT = 230;
  private static final int TOP = 40;
  private static final int BOTTOM = 50;
  private static final List<String> COLOURS =
      List.of("#1b6ca8", "#c8553d", "#588157", "#7d4e9f", "#888888", "#b08900");

  private final String title;
  private final String xLabel;
  private final String yLabel;
  private final List<Series> series = new ArrayList<>();

  Chart(String title, String across, String up) {
    this.title = title;
    this.xLabel = across;
    this.yLabel = up;
  }

  /** A point of a series. */
  record Point(double x, double y) {}

  private record Series(String label, List<Point> points, boolean dashed) {}

  Chart addSeries(String label, List<Point> points) {
    series.add(new Series(label, List.copyOf(points), false));
    return this;
  }

  /** Adds a dashed horizontal line, as wide as the series that were added before. */
  Chart addReferenceLine(String label, double y) {
    double first = xs().min().orElseThrow();
    double last = xs().max().orElseThrow();
    series.add(new Series(label, List.of(new Point(first, y), new Point(last, y)), true));
    return this;
  }

  private Stream<Point> points() {
    return series.stream().flatMap(line -> line.points().stream());
  }

  private DoubleStream xs() {
    return points().mapToDouble(Point::x);
  }

  /** Returns the chart as a document. */
  String svg() {
    var svg = new StringBuilder();
    svg.append(
        ("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\""
                + " font-family=\"sans-serif\" font-size=\"12\">\n")
            .formatted(WIDTH, HEIGHT));
    svg.append("<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n".formatted(WIDTH, HEIGHT));
    appendText(svg, LEFT, TOP - 18, "start", title, "#222222");
    appendAxes(svg);
    for (int i = 0; i < series.size(); i++) {
      appendSeries(svg, series.get(i), COLOURS.get(i % COLOURS.size()), i);
    }
    return svg.append("</svg>\n").toString();
  }

  private void appendAxes(StringBuilder svg) {
    for (double y = powerOfTen(minY(), false); y <= powerOfTen(maxY(), true) * 1.01; y *= 10) {
      appendGridLine(svg, LEFT, toPixelY(y), WIDTH - RIGHT, toPixelY(y));
      appendText(svg, LEFT - 8, toPixelY(y) + 4, "end", format(y), "#555555");
    }
    xs().distinct()
        .sorted()
        .forEach(
            x -> {
              appendGridLine(svg, toPixelX(x), TOP, toPixelX(x), HEIGHT - BOTTOM);
              appendText(svg, toPixelX(x), HEIGHT - BOTTOM + 16, "middle", format(x), "#555555");
            });
    appendText(svg, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "middle", xLabel, "#222222");
    appendText(svg, LEFT - 8, TOP - 4, "end", yLabel, "#222222");
  }

  private void appendSeries(StringBuilder svg, Series line, String colour, int place) {
    var path = new StringBuilder();
    for (Point point : line.points()) {
      path.append(path.isEmpty() ? "M" : "L")
          .append("%d %d".formatted(toPixelX(point.x()), toPixelY(point.y())));
    }
    svg.append(
        "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"%s/>\n"
            .formatted(path, colour, line.dashed() ? " stroke-dasharray=\"6 4\"" : ""));
    if (!line.dashed()) {
      for (Point point : line.points()) {
        svg.append(
            "<circle cx=\"%d\" cy=\"%d\" r=\"3\" fill=\"%s\"/>\n"
                .formatted(toPixelX(point.x()), toPixelY(point.y()), colour));
      }
    }
    appendText(svg, WIDTH - RIGHT + 16, TOP + 12 + 20 * place, "start", line.label(), colour);
  }

  private static void appendGridLine(StringBuilder svg, long x1, long y1, long x2, long y2) {
    svg.append(
        "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"#e3e3e3\"/>\n"
            .formatted(x1, y1, x2, y2));
  }

  private static void appendText(
      StringBuilder svg, long x, long y, String anchor, String text, String colour) {
    svg.append(
        "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\" fill=\"%s\">%s</text>\n"
            .formatted(x, y, anchor, colour, text.replace("&", "&amp;").replace("<", "&lt;")));
  }

  private static String format(double value) {
    return value == Math.rint(value)
        ? String.format(Locale.ROOT, "%.0f", value)
        : String.valueOf(value);
  }

  private double minY() {
    return points().mapToDouble(Point::y).min().orElseThrow();
  }

  private double maxY() {
    return points().mapToDouble(Point::y).max().orElseThrow();
  }

  private static double powerOfTen(double value, boolean above) {
    double exponent = Math.log10(value);
    return Math.pow(10, above ? Math.ceil(exponent) : Math.floor(exponent));
  }

  /** Returns the horizontal position of a value; that of 0 is the left edge. */
  private long toPixelX(double x) {
    double last = xs().max().orElseThrow();
    double first = xs().filter(it -> it > 0).min().orElseThrow();
    boolean zero = xs().anyMatch(it -> it == 0);
    double begin = Math.log(first) - (zero ? Math.log(last / first) / 5 : 0);
    double fraction = x == 0 ? 0 : (Math.log(x) - begin) / (Math.log(last) - begin);
    return LEFT + Math.round(fraction * (WIDTH - RIGHT - LEFT));
  }

  private long toPixelY(double y) {
    double bottom = Math.log(powerOfTen(minY(), false));
    double top = Math.log(powerOfTen(maxY(), true));
    double fraction = (Math.log(y) - bottom) / (top - bottom);
    return HEIGHT - BOTTOM - Math.round(fraction * (HEIGHT - BOTTOM - TOP));
  }
}
