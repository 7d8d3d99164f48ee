// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.util.Comparator.comparing;
import static java.util.Comparator.comparingDouble;

import cni.doctor.traffic.AddressPool;
import cni.doctor.traffic.AttachmentTraffic;
import cni.doctor.traffic.Quantity;
import cni.doctor.traffic.Shaping;
import cni.doctor.traffic.TrafficRate;
import cni.doctor.traffic.TrafficSample;
import cni.netlink.ffm.route.LinkStatistics;
import cni.runtime.AttachmentPresence;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;

/** The table of {@code cni top}: a line for each attachment, and one for each address pool. */
final class TopTable {
  private static final String UNKNOWN = "-";

  /** Container ids of container engines have 64 characters; the first 12 identify them in use. */
  private static final int MAX_ID = 16;

  private static final int SHORT_ID = 12;

  /** The orders of the lines; the one with most traffic comes first. */
  enum Order {
    TRAFFIC,
    RX,
    TX,
    DROPS,
    NAME;

    /** Returns the name of the option's value and in the head. */
    String text() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  private final TrafficSample sample;
  private final Map<AttachmentTraffic.Key, TrafficRate> rates;

  /**
   * Creates the table of a sample.
   *
   * @param rates the rates since the sample before; empty if there was none
   */
  TopTable(TrafficSample sample, Map<AttachmentTraffic.Key, TrafficRate> rates) {
    this.sample = sample;
    this.rates = rates;
  }

  /** Returns a summary of all attachments. */
  String head() {
    long gone =
        sample.attachments().stream()
            .filter(it -> it.presence() != AttachmentPresence.PRESENT)
            .count();
    return "%d attachments%s  rx %s  tx %s"
        .formatted(
            sample.attachments().size(),
            gone == 0 ? "" : ", " + gone + " not present",
            total(TrafficRate::receivedBytes),
            total(TrafficRate::transmittedBytes));
  }

  private String total(ToDoubleFunction<TrafficRate> rate) {
    return rates.isEmpty()
        ? UNKNOWN
        : Quantity.decimal(rates.values().stream().mapToDouble(rate).sum()) + "B/s";
  }

  /** Returns the lines of attachments, after one with titles. */
  List<String> attachmentLines(Order order) {
    List<AttachmentTraffic> sorted = new ArrayList<>(sample.attachments());
    sorted.sort(comparator(order));
    var table = new TextTable();
    table.alignRight(3, 10);
    table.row(
        "NETWORK",
        "CONTAINER",
        "INTERFACE",
        "RX B/S",
        "TX B/S",
        "PKTS/S",
        "RX B",
        "TX B",
        "DROPS",
        "AGE",
        "LEASE",
        "STATE",
        "LIMIT BIT/S RX/TX",
        "PORTS");
    sorted.forEach(it -> table.row(cells(it)));
    return table.lines();
  }

  private String[] cells(AttachmentTraffic it) {
    Optional<TrafficRate> rate = Optional.ofNullable(rates.get(it.key()));
    Optional<LinkStatistics> counters = it.statistics();
    return new String[] {
      Terminal.printable(it.network()),
      Terminal.printable(
          it.containerName().equals(it.containerId())
              ? shortId(it.containerId())
              : it.containerName()),
      Terminal.printable(it.interfaceName()),
      rate.map(r -> Quantity.decimal(r.receivedBytes())).orElse(UNKNOWN),
      rate.map(r -> Quantity.decimal(r.transmittedBytes())).orElse(UNKNOWN),
      rate.map(r -> Quantity.decimal(r.receivedPackets() + r.transmittedPackets())).orElse(UNKNOWN),
      counters.map(c -> Quantity.decimal(c.received().bytes())).orElse(UNKNOWN),
      counters.map(c -> Quantity.decimal(c.transmitted().bytes())).orElse(UNKNOWN),
      counters.map(_ -> Quantity.decimal(it.drops())).orElse(UNKNOWN),
      it.storedAt()
          .map(stored -> Quantity.age(Duration.between(stored, sample.time())))
          .orElse(UNKNOWN),
      it.lease()
          .map(lease -> Quantity.age(Duration.between(sample.time(), lease.expiresAt())))
          .orElse(UNKNOWN),
      state(it),
      it.ingress().isEmpty() && it.egress().isEmpty()
          ? UNKNOWN
          : limit(it.ingress()) + "/" + limit(it.egress()),
      it.ports().isEmpty()
          ? UNKNOWN
          : Terminal.printable(
              it.ports().stream().map(String::valueOf).collect(Collectors.joining(" ")))
    };
  }

  private static String limit(Optional<Shaping> shaping) {
    return shaping.map(it -> Quantity.decimal(it.bitsPerSecond())).orElse(UNKNOWN);
  }

  /** Returns the state of an attachment in a word or two. */
  static String state(AttachmentTraffic it) {
    return switch (it.presence()) {
      case PRESENT ->
          it.statistics().filter(found -> !found.link().isUp()).isPresent() ? "down" : "up";
      case NAMESPACE_GONE -> "no namespace";
      case INTERFACE_GONE -> "no interface";
      case UNKNOWN -> "unknown";
    };
  }

  /** Returns the lines of address pools, the fullest first; none if no network has one. */
  List<String> poolLines() {
    if (sample.pools().isEmpty()) {
      return List.of();
    }
    var table = new TextTable();
    table.alignRight(2, 4);
    table.row("POOL", "RANGE", "USED", "SIZE", "FILL");
    sample.pools().stream()
        .sorted(comparingDouble(AddressPool::fill).reversed())
        .forEach(
            it ->
                table.row(
                    Terminal.printable(it.network()),
                    it.range(),
                    String.valueOf(it.used()),
                    Quantity.decimal(it.size().doubleValue()),
                    Math.round(100 * it.fill()) + " %"));
    return table.lines();
  }

  private Comparator<AttachmentTraffic> comparator(Order order) {
    Comparator<AttachmentTraffic> byName =
        comparing(AttachmentTraffic::network)
            .thenComparing(AttachmentTraffic::containerName)
            .thenComparing(AttachmentTraffic::interfaceName);
    ToDoubleFunction<AttachmentTraffic> received =
        it -> value(it, TrafficRate::receivedBytes, found -> found.received().bytes());
    ToDoubleFunction<AttachmentTraffic> sent =
        it -> value(it, TrafficRate::transmittedBytes, found -> found.transmitted().bytes());
    Comparator<AttachmentTraffic> first =
        switch (order) {
          case NAME -> byName;
          case RX -> comparingDouble(received).reversed();
          case TX -> comparingDouble(sent).reversed();
          case TRAFFIC ->
              Comparator.<AttachmentTraffic>comparingDouble(
                      it -> received.applyAsDouble(it) + sent.applyAsDouble(it))
                  .reversed();
          case DROPS -> comparingDouble(AttachmentTraffic::drops).reversed();
        };
    return first.thenComparing(byName);
  }

  /** Returns the rate; without any rates the total, which orders a first sample. */
  private double value(
      AttachmentTraffic it,
      ToDoubleFunction<TrafficRate> rate,
      ToDoubleFunction<LinkStatistics> total) {
    if (rates.isEmpty()) {
      return it.statistics().isEmpty() ? 0 : total.applyAsDouble(it.statistics().get());
    }
    TrafficRate found = rates.get(it.key());
    return found == null ? 0 : rate.applyAsDouble(found);
  }

  private static String shortId(String id) {
    return id.length() <= MAX_ID ? id : id.substring(0, SHORT_ID) + "…";
  }
}
