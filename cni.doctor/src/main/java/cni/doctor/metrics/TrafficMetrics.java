// SPDX-License-Identifier: Apache-2.0
package cni.doctor.metrics;

import static cni.doctor.metrics.MetricsText.Type.COUNTER;
import static cni.doctor.metrics.MetricsText.Type.GAUGE;

import cni.doctor.traffic.AddressPool;
import cni.doctor.traffic.AttachmentTraffic;
import cni.doctor.traffic.DhcpLease;
import cni.doctor.traffic.Shaping;
import cni.doctor.traffic.TrafficSample;
import cni.netlink.ffm.route.LinkStatistics;
import cni.runtime.AttachmentPresence;
import java.time.Instant;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.ToLongFunction;

/** Writes the metrics of attachments and address pools. */
public final class TrafficMetrics {
  private final TrafficSample sample;
  private final MetricsText text;

  private TrafficMetrics(TrafficSample sample, MetricsText text) {
    this.sample = sample;
    this.text = text;
  }

  /** Writes the metrics of a sample. */
  public static void write(TrafficSample sample, MetricsText text) {
    var metrics = new TrafficMetrics(sample, text);
    metrics.writeStates();
    metrics.writeCounters();
    metrics.writeLimits();
    metrics.writeLeases();
    metrics.writePools();
  }

  /** Writes how many attachments are in each state; a state without attachments is written as 0. */
  private void writeStates() {
    Map<String, Map<AttachmentPresence, Long>> states = new TreeMap<>();
    for (AttachmentTraffic it : sample.attachments()) {
      states
          .computeIfAbsent(it.network(), _ -> new TreeMap<>())
          .merge(it.presence(), 1L, Long::sum);
    }
    var metric =
        text.metric(
            "cni_attachments", GAUGE, "Attachments in the cache, by network and by what exists.");
    states.forEach(
        (network, counts) -> {
          for (AttachmentPresence state : AttachmentPresence.values()) {
            metric.add(
                counts.getOrDefault(state, 0L),
                "network",
                network,
                "state",
                state.name().toLowerCase(Locale.ROOT));
          }
        });
  }

  private void writeCounters() {
    String of = " the container's interface";
    counter("receive_bytes", "Bytes received by" + of, it -> it.received().bytes());
    counter("transmit_bytes", "Bytes transmitted by" + of, it -> it.transmitted().bytes());
    counter("receive_packets", "Packets received by" + of, it -> it.received().packets());
    counter("transmit_packets", "Packets transmitted by" + of, it -> it.transmitted().packets());
    counter("receive_drops", "Received packets dropped by" + of, it -> it.received().dropped());
    counter("transmit_drops", "Sent packets dropped by" + of, it -> it.transmitted().dropped());
    counter("receive_errors", "Malformed packets received by" + of, it -> it.received().errors());
    counter("transmit_errors", "Packets not sent by" + of, it -> it.transmitted().errors());
  }

  private void counter(String name, String help, ToLongFunction<LinkStatistics> value) {
    var metric = text.metric("cni_attachment_" + name + "_total", COUNTER, help + ".");
    for (AttachmentTraffic it : sample.attachments()) {
      if (it.statistics().isPresent()) {
        metric.add(value.applyAsLong(it.statistics().get()), labels(it));
      }
    }
  }

  private void writeLimits() {
    limit(
        text.metric(
            "cni_attachment_limit_bits_per_second",
            GAUGE,
            "Rate that the attachment is limited to, by direction as the container sees it."),
        Shaping::bitsPerSecond);
    limit(
        text.metric(
            "cni_attachment_limit_drops_total", COUNTER, "Packets that the limit has dropped."),
        Shaping::drops);
    limit(
        text.metric(
            "cni_attachment_limit_backlog_bytes", GAUGE, "Bytes that wait because of the limit."),
        Shaping::backlog);
  }

  private void limit(MetricsText.Metric metric, ToLongFunction<Shaping> value) {
    for (AttachmentTraffic it : sample.attachments()) {
      it.ingress().ifPresent(at -> metric.add(value.applyAsLong(at), labels(it, "ingress")));
      it.egress().ifPresent(at -> metric.add(value.applyAsLong(at), labels(it, "egress")));
    }
  }

  private static String[] labels(AttachmentTraffic it) {
    return new String[] {
      "network", it.network(), "container", it.containerId(), "interface", it.interfaceName()
    };
  }

  private static String[] labels(AttachmentTraffic it, String direction) {
    return new String[] {
      "network",
      it.network(),
      "container",
      it.containerId(),
      "interface",
      it.interfaceName(),
      "direction",
      direction
    };
  }

  private void writeLeases() {
    lease(
        text.metric(
            "cni_attachment_lease_obtained_timestamp_seconds",
            GAUGE,
            "When a DHCP server granted or renewed the lease, in seconds since 1970."),
        DhcpLease::obtainedAt);
    lease(
        text.metric(
            "cni_attachment_lease_expiry_timestamp_seconds",
            GAUGE,
            "When the DHCP lease expires unless it is renewed, in seconds since 1970."),
        DhcpLease::expiresAt);
  }

  private void lease(MetricsText.Metric metric, Function<DhcpLease, Instant> time) {
    for (AttachmentTraffic it : sample.attachments()) {
      it.lease().ifPresent(lease -> metric.add(time.apply(lease).getEpochSecond(), labels(it)));
    }
  }

  private void writePools() {
    var sizes =
        text.metric(
            "cni_pool_addresses", GAUGE, "Addresses that host-local can allocate from a range.");
    for (AddressPool it : sample.pools()) {
      sizes.add(it.size().doubleValue(), "network", it.network(), "range", it.range());
    }
    var used = text.metric("cni_pool_addresses_used", GAUGE, "Addresses of a range in use.");
    for (AddressPool it : sample.pools()) {
      used.add(it.used(), "network", it.network(), "range", it.range());
    }
  }
}
