package cni.cli;

import cni.api.CniException;
import cni.api.Json;
import cni.runtime.Cni;
import cni.runtime.Plugins;
import java.util.HashSet;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;

/** {@code cni plugins}. */
@Command(
    name = "plugins",
    mixinStandardHelpOptions = true,
    description = "Lists the plugins that are found, and where they come from.")
final class PluginsCommand implements Callable<Integer> {
  @Mixin private HostOptions host = new HostOptions();

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  @Override
  public Integer call() throws CniException {
    List<Plugins.Available> found;
    try (Cni cni = host.open()) {
      found = cni.plugins().list();
    }
    if (json) {
      printJson(found);
    } else {
      printTable(found);
    }
    return 0;
  }

  private static void printTable(List<Plugins.Available> found) {
    var table = new Table();
    table.row("TYPE", "ORIGIN");
    var served = new HashSet<String>();
    for (Plugins.Available it : found) {
      table.row(it.type(), it.origin(), served.add(it.type()) ? "" : "(not used: see above)");
    }
    table.print(System.out);
  }

  private static void printJson(List<Plugins.Available> found) {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    var served = new HashSet<String>();
    for (Plugins.Available it : found) {
      array
          .addObject()
          .put("type", it.type())
          .put("origin", it.origin())
          .put("kind", it.executable().isPresent() ? "executable" : "module")
          .put("used", served.add(it.type()));
    }
    System.out.println(Json.pretty(array));
  }
}
