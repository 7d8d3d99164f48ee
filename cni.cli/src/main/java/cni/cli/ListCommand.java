package cni.cli;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Json;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import picocli.CommandLine.Model.OptionSpec;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code cni list}. */
final class ListCommand extends Subcommand {
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
  private final OptionSpec json = flag("--json", "Print JSON.");

  ListCommand() {
    super(
        "List cached attachments.", "Includes attachments made by other programs that use libcni.");
    spec().addOption(containerId).addOption(network).addOption(json);
  }

  @Override
  public Integer call() throws CniException {
    String container = containerId.getValue();
    String only = network.getValue();
    List<CachedAttachment> found = new ArrayList<>();
    try (Cni cni = host.open()) {
      found.addAll(container.isEmpty() ? cni.attachments() : cni.attachments(container));
    }
    found.removeIf(it -> !only.isEmpty() && !it.network().equals(only));
    boolean asJson = json.getValue();
    if (asJson) {
      ArrayNode array = JsonNodeFactory.instance.arrayNode();
      for (CachedAttachment cached : found) {
        array.add(json(cached));
      }
      Json.print(array, System.out);
    } else {
      var table = new TextTable();
      table.row("NETWORK", "CONTAINER", "INTERFACE", "ADDRESSES", "NETNS");
      found.forEach(it -> table.row(cells(it)));
      table.print(System.out);
    }
    return 0;
  }

  private static String[] cells(CachedAttachment cached) {
    Attachment attachment = cached.attachment();
    return new String[] {
      cached.network(),
      attachment.containerId(),
      attachment.interfaceName(),
      addresses(cached),
      attachment.namespace().map(Path::toString).orElse("-")
    };
  }

  private static String addresses(CachedAttachment cached) {
    try {
      return cached.result().ips().stream()
          .map(ip -> ip.address().toString())
          .collect(Collectors.joining(" "));
    } catch (CniException e) {
      return "?"; // another program's result, unreadable; the attachment is still listed
    }
  }

  private static ObjectNode json(CachedAttachment cached) throws CniException {
    Attachment attachment = cached.attachment();
    ObjectNode object = JsonNodeFactory.instance.objectNode();
    object.put("network", cached.network());
    object.put("containerId", attachment.containerId());
    object.put("ifName", attachment.interfaceName());
    object.put("netns", attachment.sandbox());
    ObjectNode args = object.putObject("cniArgs");
    attachment.args().toMap().forEach(args::put);
    object.putObject("capabilityArgs").setAll(attachment.capabilityArgs());
    object.set("result", cached.resultJson());
    return object;
  }
}
