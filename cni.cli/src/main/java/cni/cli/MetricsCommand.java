// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import cni.api.CniException;
import cni.doctor.metrics.MetricsText;
import cni.doctor.metrics.TrafficMetrics;
import cni.doctor.traffic.TrafficSampler;
import cni.runtime.Cni;
import java.util.List;
import picocli.CommandLine.Model.OptionSpec;

/** {@code cni metrics}. */
final class MetricsCommand extends Subcommand {
  private final HostOptions host = new HostOptions(spec());
  private final OptionSpec networks =
      listOption("-n", "--network")
          .paramLabel("NETWORK")
          .description("Print only attachments to this network; may be repeated.")
          .build();

  MetricsCommand() {
    super(
        "Print metrics of attachments and address pools once, in Prometheus' text format.",
        "Those of requests and plugin calls are known to the resident host only, which serves all"
            + " metrics: \"cni serve --metrics ADDRESS\". docs/monitoring.md lists them.");
    spec().addOption(networks);
    spec()
        .usageMessage()
        .footerHeading("%nExamples:%n")
        .footer(
            "  cni metrics",
            "  cni metrics > /var/lib/node_exporter/cni.prom",
            "  curl --unix-socket /run/cni/metrics.sock http://cni/metrics");
  }

  @Override
  public Integer call() throws CniException {
    List<String> only = networks.getValue();
    try (Cni cni = host.open()) {
      host.requireKnown(cni, only);
      var sampler =
          new TrafficSampler(cni, host.hostNamespace(), it -> only.isEmpty() || only.contains(it));
      var text = new MetricsText();
      HostMetrics.writeBuild(text);
      TrafficMetrics.write(sampler.sample(), text);
      byte[] bytes = text.toString().getBytes(UTF_8);
      System.out.write(bytes, 0, bytes.length);
      System.out.flush();
    }
    return 0;
  }
}
