// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.doctor.traffic.AttachmentTraffic;
import cni.doctor.traffic.TrafficRate;
import cni.doctor.traffic.TrafficSample;
import cni.doctor.traffic.TrafficSampler;
import cni.netlink.ffm.process.KeyInput;
import cni.runtime.Cni;
import java.time.Duration;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/** {@code cni top}. */
final class TopCommand extends Subcommand {
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("HH:mm:ss").withZone(ZoneId.systemDefault());

  private static final double NANOS_PER_SECOND = 1e9;

  private final HostOptions host = new HostOptions(spec());

  private final OptionSpec networks =
      listOption("-n", "--network")
          .paramLabel("NETWORK")
          .description("Show only attachments to this network; may be repeated.")
          .build();

  private final OptionSpec delay =
      OptionSpec.builder("-d", "--delay")
          .type(Double.class)
          .defaultValue("2")
          .paramLabel("SECONDS")
          .description(
              "Time between two samples; 0 prints totals at once, without rates. Default:"
                  + " ${DEFAULT-VALUE}.")
          .build();

  private final OptionSpec iterations =
      OptionSpec.builder("--iterations")
          .type(Integer.class)
          .paramLabel("N")
          .description(
              "Print N tables and exit, 0 until interrupted. Default: 1, or a screen that is"
                  + " updated if this is a terminal.")
          .build();

  private final OptionSpec sort =
      OptionSpec.builder("--sort")
          .type(String.class)
          .defaultValue(TopTable.Order.TRAFFIC.text())
          .completionCandidates(
              Arrays.stream(TopTable.Order.values()).map(TopTable.Order::text).toList())
          .paramLabel("KEY")
          .description("Order: traffic, rx, tx, drops or name; default: ${DEFAULT-VALUE}.")
          .build();

  private final OptionSpec json = flag("--json", "Print an object per iteration, as one line.");

  TopCommand() {
    super(
        "Show the traffic of attachments, and how full the address pools are.",
        "Directions are the container's: RX is what it receives. DROPS are those of its interface and"
            + " of its bandwidth limits. AGE is the time since ADD or the last update.",
        "Keys on the screen: q ends it; t, r, s, d and n sort by traffic, received, sent, drops and"
            + " name. Needs root.");
    List.of(networks, delay, iterations, sort, json).forEach(spec()::addOption);
    spec()
        .usageMessage()
        .footerHeading("%nExamples:%n")
        .footer(
            "  cni top",
            "  cni top -d 10 --sort drops | head",
            "  cni top --json --iterations 0 | jq '.attachments[].rates'");
  }

  @Override
  public Integer call() throws CniException {
    TopTable.Order order = order();
    Duration interval = interval();
    @Nullable Integer count = iterations.getValue();
    boolean asJson = json.getValue();
    List<String> only = networks.getValue();
    if (count != null && count < 0) {
      throw usage("--iterations " + count + " must not be negative");
    }
    try (Cni cni = host.open()) {
      host.requireKnown(cni, only);
      var sampler =
          new TrafficSampler(cni, host.hostNamespace(), it -> only.isEmpty() || only.contains(it));
      boolean hasScreen =
          !asJson && count == null && Terminal.size(Terminal.Stream.OUTPUT).isPresent();
      Optional<KeyInput> input = hasScreen ? KeyInput.open() : Optional.empty();
      if (input.isPresent()) {
        showScreen(sampler, input.get(), interval, order);
      } else {
        print(sampler, count == null ? 1 : count, interval, order);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return 0;
  }

  private ParameterException usage(String message) {
    return new ParameterException(spec().commandLine(), message);
  }

  private TopTable.Order order() {
    String text = sort.getValue();
    return Arrays.stream(TopTable.Order.values())
        .filter(it -> it.text().equals(text.toLowerCase(Locale.ROOT)))
        .findFirst()
        .orElseThrow(
            () ->
                usage(
                    "--sort "
                        + text
                        + " is none of "
                        + Arrays.stream(TopTable.Order.values())
                            .map(TopTable.Order::text)
                            .collect(Collectors.joining(", "))));
  }

  private Duration interval() {
    double seconds = delay.getValue();
    if (!(seconds >= 0 && seconds <= Integer.MAX_VALUE)) {
      throw usage("--delay " + seconds + " is not a number of seconds");
    }
    return Duration.ofNanos((long) (seconds * NANOS_PER_SECOND));
  }

  /** Prints tables or objects; rates need a sample before the first one. */
  private void print(TrafficSampler sampler, int count, Duration interval, TopTable.Order order)
      throws CniException, InterruptedException {
    boolean asJson = json.getValue();
    Optional<TrafficSample> before =
        interval.isZero() ? Optional.empty() : Optional.of(sampler.sample());
    for (int i = 0; count == 0 || i < count; i++) {
      Thread.sleep(interval);
      TrafficSample now = sampler.sample();
      Map<AttachmentTraffic.Key, TrafficRate> rates =
          before.map(now::ratesSince).orElseGet(Map::of);
      if (asJson) {
        System.out.println(TopJson.of(now, rates));
      } else {
        System.out.print(i == 0 ? "" : "\n");
        text(new TopTable(now, rates), order).forEach(System.out::println);
      }
      if (System.out.checkError()) {
        return; // the reader has gone; the exit status says so
      }
      before = Optional.of(now);
    }
  }

  private static List<String> text(TopTable table, TopTable.Order order) {
    List<String> lines = new ArrayList<>(table.attachmentLines(order));
    List<String> pools = table.poolLines();
    if (!pools.isEmpty()) {
      lines.add("");
      lines.addAll(pools);
    }
    return lines;
  }

  private static void showScreen(
      TrafficSampler sampler, KeyInput input, Duration interval, TopTable.Order firstOrder)
      throws CniException, InterruptedException {
    Duration pause = interval.isZero() ? Duration.ofSeconds(2) : interval;
    TopTable.Order order = firstOrder;
    try (var screen = new TopScreen(input, Invocation.standardOutput())) {
      Map<AttachmentTraffic.Key, TrafficRate> rates = Map.of();
      TrafficSample now = sampler.sample();
      while (true) {
        show(screen, now, rates, order);
        long end = System.nanoTime() + pause.toNanos();
        char key = screen.awaitKey(pause);
        while (key != 0) {
          if (key == 'q' || key == 'Q') {
            return;
          }
          order = orderOf(key).orElse(order);
          show(screen, now, rates, order);
          key = screen.awaitKey(Duration.ofNanos(Math.max(0, end - System.nanoTime())));
        }
        TrafficSample next = sampler.sample();
        rates = next.ratesSince(now);
        now = next;
      }
    }
  }

  private static Optional<TopTable.Order> orderOf(char key) {
    return switch (key) {
      case 't' -> Optional.of(TopTable.Order.TRAFFIC);
      case 'r' -> Optional.of(TopTable.Order.RX);
      case 's' -> Optional.of(TopTable.Order.TX);
      case 'd' -> Optional.of(TopTable.Order.DROPS);
      case 'n' -> Optional.of(TopTable.Order.NAME);
      default -> Optional.empty();
    };
  }

  private static void show(
      TopScreen screen,
      TrafficSample sample,
      Map<AttachmentTraffic.Key, TrafficRate> rates,
      TopTable.Order order) {
    var table = new TopTable(sample, rates);
    List<String> lines = new ArrayList<>();
    lines.add("cni top  " + TIME.format(sample.time()) + "  " + table.head());
    lines.add("by " + order.text() + "; keys: t r s d n sort, q quits");
    lines.add("");
    lines.addAll(text(table, order));
    screen.show(lines, 3);
  }
}
