// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.Json;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Model.OptionSpec;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;

/** {@code cni list}. */
final class ListCommand extends Subcommand {
  private static final int STATE_COLUMN = 5;
  private static final int DIFFERENT = 1;

  private final HostOptions host = new HostOptions(spec());
  private final OptionSpec containerId =
      OptionSpec.builder("--container-id")
          .type(String.class)
          .initialValue("")
          .paramLabel("ID")
          .description("List only attachments of this container.")
          .build();
  private final OptionSpec network =
      OptionSpec.builder("-n", "--network")
          .type(String.class)
          .initialValue("")
          .paramLabel("NAME")
          .description("List only attachments of this network.")
          .build();
  private final OptionSpec check =
      flag(
          "--check",
          "Run CHECK for each attachment; exits with 1 if one is not as ADD made it, or is gone.");
  private final OptionSpec json = flag("--json", "Print JSON.");

  ListCommand() {
    super(
        "List attachments: addresses, published ports, state, age.",
        "Lists what is in the cache, including attachments made by other programs that use libcni."
            + " The state is ok, or says that the namespace or the interface is gone; with --check"
            + " also whether something differs. The age is the time since ADD or the last update.");
    spec().addOption(containerId).addOption(network).addOption(check).addOption(json);
  }

  @Override
  public Integer call() throws CniException {
    boolean checks = check.getValue();
    List<ListedAttachment> listed = new ArrayList<>();
    try (Cni cni = host.open()) {
      ConfigWarnings.printShadowed(cni);
      requireKnownNetwork(cni);
      for (CachedAttachment cached : select(cni)) {
        listed.add(ListedAttachment.of(cached, cni, checks));
      }
    }
    boolean asJson = json.getValue();
    if (asJson) {
      ArrayNode array = JsonNodeFactory.instance.arrayNode();
      for (ListedAttachment it : listed) {
        array.add(it.json());
      }
      Json.print(array, System.out);
    } else {
      print(listed);
    }
    return checks && listed.stream().anyMatch(ListedAttachment::differs) ? DIFFERENT : 0;
  }

  private void requireKnownNetwork(Cni cni) throws CniException {
    String only = network.getValue();
    host.requireKnown(cni, only.isEmpty() ? List.of() : List.of(only));
  }

  private List<CachedAttachment> select(Cni cni) throws CniException {
    String container = containerId.getValue();
    String only = network.getValue();
    List<CachedAttachment> found =
        new ArrayList<>(container.isEmpty() ? cni.attachments() : cni.attachments(container));
    found.removeIf(it -> !only.isEmpty() && !it.network().equals(only));
    return found;
  }

  private static void print(List<ListedAttachment> listed) {
    var table = new TextTable();
    table.row("NETWORK", "CONTAINER", "INTERFACE", "ADDRESSES", "PORTS", "STATE", "AGE", "NETNS");
    listed.forEach(it -> table.row(it.cells(Clock.systemUTC().instant())));
    table.colours(STATE_COLUMN, ListedAttachment::style);
    table.print(System.out);
    for (ListedAttachment it : listed) {
      it.difference().ifPresent(what -> System.err.println("cni: " + it.name() + ": " + what));
    }
  }
}
