package cni.cli;

import cni.api.CniException;
import cni.api.Json;
import cni.api.PluginEvent;
import cni.runtime.Cni;
import cni.runtime.Subscription;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.ObjectNode;

/** {@code cni events}. */
@Command(
    name = "events",
    mixinStandardHelpOptions = true,
    description = {
      "Prints what happens to attachments between operations, until it is interrupted: interfaces"
          + " that are gone or down, addresses that are gone or in conflict, leases that are lost.",
      "It sees every attachment that is kept in --cache, whoever made it. Leases are told by the"
          + " process that keeps them."
    })
final class EventsCommand implements Callable<Integer> {
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("HH:mm:ss").withZone(ZoneId.systemDefault());

  @Mixin private HostOptions host = new HostOptions();

  @Option(names = "--json", description = "Print a line of JSON for each.")
  private boolean json;

  @Option(
      names = {"-n", "--network"},
      paramLabel = "NETWORK",
      description = "Only those of these networks.")
  private List<String> networks = List.of();

  @Override
  public Integer call() throws CniException {
    try (Cni cni = host.open();
        Subscription _ = cni.onEvent(this::print)) {
      new CountDownLatch(1).await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return 0;
  }

  private void print(PluginEvent event) {
    if (networks.isEmpty() || networks.contains(event.network())) {
      System.out.println(json ? json(event) : text(event));
      System.out.flush();
    }
  }

  private static String text(PluginEvent event) {
    String whom =
        event.attachment().map(id -> " " + id.containerId() + " " + id.interfaceName()).orElse("");
    return TIME.format(event.time())
        + "  "
        + event.kind()
        + "  "
        + event.network()
        + whom
        + ": "
        + event.message();
  }

  private static String json(PluginEvent event) {
    ObjectNode node =
        Json.object()
            .put("time", event.time().toString())
            .put("kind", event.kind().toString())
            .put("source", event.source())
            .put("network", event.network());
    event
        .attachment()
        .ifPresent(
            id -> node.put("containerID", id.containerId()).put("ifname", id.interfaceName()));
    return node.put("message", event.message()).toString();
  }
}
