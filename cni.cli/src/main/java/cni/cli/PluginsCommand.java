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
        "Lists the plugins that are found, and where they come from; and what might be one, but is"
            + " disabled, with the reason.");
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
    for (PluginRegistry.AvailablePlugin it : found) {
      String used = served.add(it.type()) ? "" : "(not used: see above)";
      table.row(it.type(), it.origin().toString(), used);
    }
    table.print(System.out);
    for (PluginRegistry.DisabledPlugin it : disabled) {
      System.out.println(it);
    }
  }

  private static void printJson(
      List<PluginRegistry.AvailablePlugin> found, List<PluginRegistry.DisabledPlugin> disabled) {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    var served = new HashSet<String>();
    for (PluginRegistry.AvailablePlugin it : found) {
      boolean executable = it.origin().source() == PluginSource.EXECUTABLE;
      array
          .addObject()
          .put("type", it.type())
          .put("origin", it.origin().toString())
          .put("kind", executable ? "executable" : "module")
          .put("place", it.origin().source().toString())
          .put("used", served.add(it.type()));
    }
    for (PluginRegistry.DisabledPlugin it : disabled) {
      array
          .addObject()
          .put("type", it.name())
          .put("origin", it.location())
          .put("kind", "module")
          .put("used", false)
          .put("disabled", it.reason());
    }
    System.out.println(Json.pretty(array));
  }
}
