// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.Json;
import cni.api.SpecVersion;
import cni.runtime.Network;
import cni.runtime.NetworkAddresses;
import java.io.PrintStream;
import java.time.Clock;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.Model.OptionSpec;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;

/** {@code cni ipam show}. */
final class IpamShowCommand extends Subcommand {
  private static final int FAILED = 1;

  private final NetworkOptions options = NetworkOptions.ofAll(spec());
  private final OptionSpec json = flag("--json", "Print JSON.");

  IpamShowCommand() {
    super(
        "Show how full the pools of networks are, and who holds addresses.",
        "For each network: its pools of addresses, with the number that is reserved; in a cluster,"
            + " the blocks that nodes have claimed, and the nodes with their state: alive, lost (its"
            + " resident host, \"cni serve\", has lost contact or was killed) or unknown (it has no"
            + " such host); who holds addresses, and since when. Problems are printed on standard error."
            + " Without NETWORK, networks whose ipam plugin cannot list addresses are left out.");
    spec().addOption(json);
    spec()
        .usageMessage()
        .footerHeading("%nExamples:%n")
        .footer("  cni ipam show", "  cni ipam show mynet --json");
  }

  @Override
  public Integer call() throws CniException {
    Map<String, List<NetworkAddresses.PluginReport>> reports = new LinkedHashMap<>();
    Map<String, CniException> failures = new LinkedHashMap<>();
    options.apply(
        (network, _) -> {
          try {
            collect(network, reports);
          } catch (CniException e) {
            if (options.nameNetwork()) {
              throw e;
            }
            failures.put(network.name(), e.withContext("network " + network.name()));
          }
        });
    boolean asJson = json.getValue();
    if (asJson) {
      Json.print(json(reports, failures), Invocation.standardOutput());
    } else {
      print(reports);
    }
    for (CniException e : failures.values()) {
      int _ = ErrorReporter.reportText(e);
    }
    return failures.isEmpty() ? 0 : FAILED;
  }

  private void collect(Network network, Map<String, List<NetworkAddresses.PluginReport>> reports)
      throws CniException {
    NetworkAddresses addresses = network.addresses();
    if (options.nameNetwork() || addresses.canList()) {
      reports.put(network.name(), addresses.reports());
    }
  }

  private static void print(Map<String, List<NetworkAddresses.PluginReport>> reports) {
    PrintStream out = Invocation.standardOutput();
    List<String> problems = new ArrayList<>();
    String gap = "";
    for (Map.Entry<String, List<NetworkAddresses.PluginReport>> entry : reports.entrySet()) {
      for (NetworkAddresses.PluginReport it : entry.getValue()) {
        out.print(gap);
        out.println("network " + entry.getKey() + ", plugin " + it.type());
        AddressTables.print(it.report(), Clock.systemUTC().instant(), out);
        it.report().problems().forEach(problem -> problems.add(entry.getKey() + ": " + problem));
        gap = System.lineSeparator();
      }
    }
    for (String problem : problems) {
      Invocation.standardError().println("cni: " + Terminal.printable(problem));
    }
  }

  private static ArrayNode json(
      Map<String, List<NetworkAddresses.PluginReport>> reports,
      Map<String, CniException> failures) {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    reports.forEach((network, all) -> all.forEach(it -> array.add(AddressJson.of(network, it))));
    failures.forEach(
        (network, error) ->
            array
                .addObject()
                .put("network", network)
                .set("error", error.toJson(SpecVersion.CURRENT)));
    return array;
  }
}
