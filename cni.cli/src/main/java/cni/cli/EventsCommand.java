// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.Json;
import cni.api.PluginEvent;
import cni.runtime.Cni;
import cni.runtime.Subscription;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import picocli.CommandLine.Model.OptionSpec;
import tools.jackson.databind.node.ObjectNode;

/** {@code cni events}. */
final class EventsCommand extends Subcommand {
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("HH:mm:ss").withZone(ZoneId.systemDefault());

  private final HostOptions host = new HostOptions(spec());
  private final OptionSpec json = flag("--json", "Print each event as one line of JSON.");
  private final OptionSpec networks =
      listOption("-n", "--network")
          .paramLabel("NETWORK")
          .description("Print only events of this network; may be repeated.")
          .build();

  /** Whether all sources of events are open; nothing is printed before. */
  private final CountDownLatch complete = new CountDownLatch(1);

  EventsCommand() {
    super(
        "Print events of attachments until interrupted.",
        "Reports attachments that are added, updated and deleted, interfaces that are deleted or down,"
            + " addresses that are deleted or in conflict, and lost leases, for every attachment in"
            + " --cache, whichever program made it. Events of leases are published only in the process"
            + " that keeps the leases. Needs root.");
    spec().addOption(json).addOption(networks);
  }

  @Override
  public Integer call() throws CniException {
    try (Cni cni = host.open();
        Subscription subscription = cni.onEvent(this::print)) {
      if (!subscription.failures().isEmpty()) {
        throw subscription.failures().getFirst();
      }
      complete.countDown();
      new CountDownLatch(1).await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return 0;
  }

  private void print(PluginEvent event) {
    try {
      complete.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt(); // the command ends
      return;
    }
    List<String> only = networks.getValue();
    boolean asJson = json.getValue();
    boolean concernsAll = event.network().isEmpty();
    if (only.isEmpty() || only.contains(event.network()) || concernsAll) {
      System.out.println(asJson ? json(event) : text(event));
      System.out.flush();
    }
  }

  private static String text(PluginEvent event) {
    String attachment =
        event.attachment().map(id -> " " + id.containerId() + " " + id.interfaceName()).orElse("");
    String subject = event.network() + attachment;
    return TIME.format(event.time())
        + "  "
        + event.kind()
        + "  "
        + (subject.isEmpty() ? "" : subject + ": ")
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
