// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.Json;
import cni.runtime.Cni;
import cni.runtime.PluginRegistry;
import cni.runtime.PluginSource;
import java.util.HashSet;
import java.util.List;
import picocli.CommandLine.Model.OptionSpec;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;

/** {@code cni plugins}. */
final class PluginsCommand extends Subcommand {
  private final HostOptions host = new HostOptions(spec());
  private final OptionSpec json = flag("--json", "Print JSON.");

  PluginsCommand() {
    super(
        "List available plugins and where they come from.",
        "Also lists plugins that are disabled, with the reason.");
    spec().addOption(json);
  }

  @Override
  public Integer call() throws CniException {
    List<PluginRegistry.AvailablePlugin> found;
    List<PluginRegistry.DisabledPlugin> disabled;
    try (Cni cni = host.open()) {
      found = cni.plugins().list();
      disabled = cni.plugins().disabled();
    }
    boolean asJson = json.getValue();
    if (asJson) {
      printJson(found, disabled);
    } else {
      printTable(found, disabled);
    }
    return 0;
  }

  private static void printTable(
      List<PluginRegistry.AvailablePlugin> found, List<PluginRegistry.DisabledPlugin> disabled) {
    var table = new TextTable();
    table.row("TYPE", "ORIGIN");
    var served = new HashSet<String>();
    for (PluginRegistry.AvailablePlugin plugin : found) {
      String used = served.add(plugin.type()) ? "" : "(not used: see above)";
      table.row(plugin.type(), plugin.origin().toString(), used);
    }
    table.print(System.out);
    disabled.forEach(System.out::println);
  }

  private static void printJson(
      List<PluginRegistry.AvailablePlugin> found, List<PluginRegistry.DisabledPlugin> disabled) {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    var served = new HashSet<String>();
    for (PluginRegistry.AvailablePlugin plugin : found) {
      PluginSource source = plugin.origin().source();
      array
          .addObject()
          .put("type", plugin.type())
          .put("origin", plugin.origin().toString())
          .put("kind", source == PluginSource.EXECUTABLE ? "executable" : "module")
          .put("place", source.toString())
          .put("used", served.add(plugin.type()));
    }
    for (PluginRegistry.DisabledPlugin plugin : disabled) {
      array
          .addObject()
          .put("type", plugin.name())
          .put("origin", plugin.location())
          .put("kind", "module")
          .put("used", false)
          .put("disabled", plugin.reason());
    }
    Json.print(array, System.out);
  }
}
