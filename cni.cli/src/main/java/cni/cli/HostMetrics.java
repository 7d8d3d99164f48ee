// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static cni.doctor.metrics.MetricsText.Type.COUNTER;
import static cni.doctor.metrics.MetricsText.Type.GAUGE;

import cni.api.CniException;
import cni.api.SpecVersion;
import cni.daemon.HostServer;
import cni.daemon.HostStatus;
import cni.doctor.metrics.MetricsAddress;
import cni.doctor.metrics.MetricsServer;
import cni.doctor.metrics.MetricsText;
import cni.doctor.metrics.PluginCallMetrics;
import cni.doctor.metrics.TrafficMetrics;
import cni.doctor.traffic.TrafficSampler;
import cni.runtime.Cni;
import java.nio.file.Path;
import java.util.Optional;

/** The metrics of the resident host: its requests, the calls of plugins, and the attachments. */
final class HostMetrics {
  private static final double MILLIS_PER_SECOND = 1000;
  private static final double NANOS_PER_SECOND = 1e9;
  private static final int BYTES_PER_KIB = 1024;

  private final HostServer server;
  private final PluginCallMetrics calls;
  private final TrafficSampler sampler;

  private HostMetrics(HostServer server, PluginCallMetrics calls, TrafficSampler sampler) {
    this.server = server;
    this.calls = calls;
    this.sampler = sampler;
  }

  /**
   * Serves the metrics until the returned service is closed.
   *
   * @param networks the directory of configurations, whose address pools are reported
   * @param cache the directory whose attachments are reported
   * @throws CniException code 4 or 5 if the address cannot be listened on
   */
  static HostService serve(
      MetricsAddress address, Path networks, Path cache, HostedRequests requests, HostServer server)
      throws CniException {
    Cni cni = requests.openReading(cache, networks);
    var calls = new PluginCallMetrics();
    var sampler = new TrafficSampler(cni, Optional.empty(), _ -> true);
    var metrics = new HostMetrics(server, calls, sampler);
    MetricsServer endpoint;
    try {
      endpoint = MetricsServer.start(address, metrics::text);
    } catch (CniException e) {
      cni.close();
      throw e;
    }
    requests.observePluginCalls(calls);
    System.err.println("cni: serves metrics at " + endpoint.address());
    return () -> {
      endpoint.close();
      cni.close();
    };
  }

  private String text() throws CniException {
    long start = System.nanoTime();
    var text = new MetricsText();
    writeBuild(text);
    writeHost(server.status(), text);
    calls.write(text);
    TrafficMetrics.write(sampler.sample(), text);
    text.metric("cni_scrape_duration_seconds", GAUGE, "How long composing this text took.")
        .add((System.nanoTime() - start) / NANOS_PER_SECOND);
    return text.toString();
  }

  /** Writes which build this is; the value is always 1. */
  static void writeBuild(MetricsText text) {
    text.metric("cni_build_info", GAUGE, "The build, in the labels.")
        .add(
            1,
            "version",
            Image.version(),
            "spec",
            SpecVersion.CURRENT.toString(),
            "java",
            Runtime.version().toString());
  }

  /** Writes what the host is doing and has done. */
  static void writeHost(HostStatus status, MetricsText text) {
    text.metric("cni_host_start_time_seconds", GAUGE, "Unix time at which the host was ready.")
        .add(status.started().toEpochMilli() / MILLIS_PER_SECOND);
    text.metric("cni_host_resident_memory_bytes", GAUGE, "Resident memory of the host.")
        .add(status.residentKiB() * BYTES_PER_KIB);
    text.metric("cni_host_threads", GAUGE, "Threads of the host.").add(status.threads());
    text.metric("cni_host_requests_in_flight", GAUGE, "Requests accepted and not answered yet.")
        .add(status.inFlight());
    text.metric("cni_host_requests_waiting", GAUGE, "Requests in flight that wait for others.")
        .add(status.waiting());
    text.metric(
            "cni_host_requests_refused_total",
            COUNTER,
            "Requests left to the image of their callers.")
        .add(status.refused());
    var requests =
        text.metric(
            "cni_host_requests_total",
            COUNTER,
            "Requests answered, by plugin (cni for commands), verb and outcome.");
    for (HostStatus.Calls it : status.calls()) {
      requests
          .add(
              it.served() - it.failed(),
              "plugin",
              it.name(),
              "verb",
              it.verb(),
              "outcome",
              "success")
          .add(it.failed(), "plugin", it.name(), "verb", it.verb(), "outcome", "error");
    }
  }
}
