// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.NetworkConfig;
import cni.api.PluginConfig;
import cni.api.SpecVersion;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.runtime.PluginRegistry;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.ParameterException;

/** {@code cni show}. */
final class ShowCommand extends Subcommand {
  private final HostOptions host = new HostOptions(spec());

  private final PositionalParamSpec network =
      requiredParameter(0, "NETWORK")
          .arity("0..1")
          .required(false)
          .description("Network name; with --html, all networks by default.")
          .build();

  private final OptionSpec html =
      pathOption("--html")
          .paramLabel("FILE")
          .description(
              "Write a page to this file that shows the attachments, addresses, ports and policies.")
          .build();

  ShowCommand() {
    super(
        "Show a network's plugin chain, or a page of all networks.",
        "For each plugin: its origin, its specification versions, its capabilities and its ipam plugin."
            + " ADD and CHECK run from top to bottom, DEL from bottom to top.",
        "The page of --html is one file that loads nothing; a browser shows it.");
    spec().addPositional(network);
    spec().addOption(html);
  }

  @Override
  public Integer call() throws CniException {
    @Nullable String name = network.getValue();
    @Nullable Path file = html.getValue();
    if (name == null && file == null) {
      throw new ParameterException(
          spec().commandLine(), "Missing required parameter: 'NETWORK', or --html FILE");
    }
    try (Cni cni = host.open()) {
      if (file == null) {
        show(cni.network(Objects.requireNonNull(name)), cni);
      } else {
        HostPageFile.write(file, cni, host.hostNamespace(), Optional.ofNullable(name));
      }
    }
    return 0;
  }

  private static void show(Network network, Cni cni) throws CniException {
    ConfigWarnings.printShadowed(cni);
    NetworkConfig config = network.config();
    System.out.println("network " + config.name() + ", " + version(network));
    if (config.disableCheck() || config.disableGc()) {
      System.out.println(
          "without"
              + (config.disableCheck() ? " CHECK (disableCheck)" : "")
              + (config.disableGc() ? " GC (disableGC)" : ""));
    }
    System.out.println();
    List<PluginRegistry.AvailablePlugin> available = cni.plugins().list();
    var table = new TextTable();
    for (Iterator<PluginConfig> it = config.plugins().iterator(); it.hasNext(); ) {
      PluginConfig plugin = it.next();
      boolean last = !it.hasNext();
      table.row(row("● " + plugin.type(), plugin.type(), available, capabilities(plugin)));
      Optional<String> ipam = plugin.ipamType();
      if (ipam.isPresent()) {
        String line = (last ? " " : "│") + " └─ " + ipam.get();
        table.row(row(line, ipam.get(), available, "ipam of " + plugin.type()));
      }
      if (!last) {
        table.row("│");
      }
    }
    table.print(System.out);
  }

  private static String version(Network network) throws CniException {
    try {
      return "version " + network.version();
    } catch (CniException e) {
      return "no version: " + e.getMessage();
    }
  }

  private static String capabilities(PluginConfig plugin) throws CniException {
    List<String> capabilities = plugin.capabilities();
    return capabilities.isEmpty() ? "" : "capabilities " + String.join(", ", capabilities);
  }

  private static String[] row(
      String label, String type, List<PluginRegistry.AvailablePlugin> available, String note) {
    Optional<PluginRegistry.AvailablePlugin> found =
        available.stream().filter(it -> it.type().equals(type)).findFirst();
    return found.isEmpty()
        ? new String[] {label, "not found, neither a module nor an executable", "", note}
        : new String[] {label, found.get().origin().toString(), versions(found.get()), note};
  }

  private static String versions(PluginRegistry.AvailablePlugin plugin) {
    try {
      List<SpecVersion> versions = plugin.plugin().versions().stream().sorted().toList();
      return versions.getFirst() + " to " + versions.getLast();
    } catch (CniException e) {
      return "versions unknown";
    }
  }
}
