// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CapabilityArgs;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.runtime.AttachmentUpdate;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.runtime.UpdateReport;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.StringNode;

/** {@code cni update}. */
final class UpdateCommand extends Subcommand {
  private final StoredAttachmentOptions options = new StoredAttachmentOptions(spec(), true);

  private final OptionSpec capabilityArgs =
      OptionSpec.builder("--capability-args")
          .type(String.class)
          .initialValue("")
          .paramLabel("JSON")
          .description(
              "Capability arguments to set, a JSON object keyed by capability; null removes one."
                  + " Others stay.")
          .build();

  private final CapabilityOptions capabilities = new CapabilityOptions(spec());

  private final OptionSpec args =
      OptionSpec.builder("--args")
          .type(String.class)
          .initialValue("")
          .paramLabel("K=V;...")
          .description("Plugin arguments (CNI_ARGS) to set; an empty value removes one.")
          .build();

  private final OptionSpec set =
      listOption("--set")
          .paramLabel("TYPE.KEY=VALUE")
          .description(
              "Set a key of a plugin's configuration: bridge.mtu=1400. VALUE is JSON, or else a"
                  + " string.")
          .build();

  private final OptionSpec unset =
      listOption("--unset")
          .paramLabel("TYPE.KEY")
          .description("Remove a key of a plugin's configuration.")
          .build();

  private final OptionSpec append =
      listOption("--append")
          .paramLabel("JSON")
          .description("Append a plugin to the chain: '{\"type\": \"tuning\", ...}'.")
          .build();

  private final OptionSpec remove =
      listOption("--remove")
          .paramLabel("TYPE")
          .description("Remove a plugin from the chain.")
          .build();

  private final OptionSpec reload =
      flag("--reload", "Take over the network's configuration file, which has changed.");

  private final OptionSpec all =
      flag("--all", "Update all attachments of the network; implies --reload.");

  private final OptionSpec recreate =
      flag(
          "--recreate",
          "Delete the attachment and add it again if it cannot be changed or restored otherwise;"
              + " its connections are lost.");

  private final UpdateReports reports;

  UpdateCommand() {
    super(
        "Change an attachment while it is in use.",
        "Interface, addresses and established connections stay. A change that would interrupt them is"
            + " refused before anything is touched, unless --recreate is given. Changes what ADD or the"
            + " last update stored; the network's file is only read with --reload or --all.",
        "An option for a capability argument, such as --publish, replaces all that the attachment"
            + " has of that capability.");
    List.of(capabilityArgs, args, set, unset, append, remove, reload, all, recreate)
        .forEach(spec()::addOption);
    reports = new UpdateReports(spec(), UpdateReports.Style.CHANGES);
    spec()
        .usageMessage()
        .footer(
            "",
            "Examples:",
            "  cni update mynet blue --set bridge.mtu=1400 --dry-run",
            "  cni update mynet blue -p 8080:80 --bandwidth in=10M,out=5M",
            "  cni update mynet blue --capability-args '{\"portMappings\": null}'",
            "  cni update mynet blue --recreate",
            "  cni update mynet --all");
  }

  @Override
  public Integer call() {
    CapabilityArgs given = capabilities.args();
    requireComplete(given);
    return InterruptOnShutdown.run(
        "cni-cleanup",
        () -> {
          AttachmentUpdate change = change().withCapabilityArgs(given);
          try (Cni cni = options.open()) {
            Optional<Network> network =
                isSet(all) || isSet(reload)
                    ? Optional.of(cni.network(options.network()))
                    : Optional.empty();
            return reports.run(cni, options.select(cni), it -> update(cni, network, it, change));
          }
        });
  }

  private static boolean isSet(OptionSpec flag) {
    return flag.<Boolean>getValue();
  }

  private void requireComplete(CapabilityArgs given) {
    if (isSet(all) == options.nameContainer()) {
      throw wrong(
          isSet(all)
              ? "--all updates every container; leave out NETNS and --container-id"
              : "name the container by NETNS or --container-id, or give --all");
    }
    boolean reloads = isSet(all) || isSet(reload);
    boolean edits =
        List.of(set, unset, append, remove).stream()
            .anyMatch(it -> !it.<List<String>>getValue().isEmpty());
    String arguments = capabilityArgs.<String>getValue() + args.<String>getValue();
    if (!reloads && !edits && !isSet(recreate) && arguments.isEmpty() && given.isEmpty()) {
      throw wrong(
          "nothing to change: give --capability-args, an option such as --publish, --args, --set, --unset, --append, --remove,"
              + " --reload or, for what \"cni repair\" cannot restore, --recreate");
    }
  }

  private ParameterException wrong(String message) {
    return new ParameterException(spec().commandLine(), message);
  }

  private UpdateReport update(
      Cni cni, Optional<Network> given, CachedAttachment cached, AttachmentUpdate change)
      throws CniException {
    Network network = given.isPresent() ? given.get() : cni.network(cached.config());
    return reports.isDryRun()
        ? network.planUpdate(cached.attachment().id(), change)
        : network.update(cached.attachment().id(), change);
  }

  private AttachmentUpdate change() throws CniException {
    AttachmentUpdate change = AttachmentUpdate.NONE;
    change = isSet(all) || isSet(reload) ? change.withNetworkConfig() : change;
    change = isSet(recreate) ? change.allowRecreation() : change;
    String json = capabilityArgs.getValue();
    if (!json.isEmpty()) {
      CapabilityArgs parsed = CapabilityOptions.parseJson(json, capabilityArgs.longestName());
      for (Map.Entry<String, JsonNode> it : parsed.toMap().entrySet()) {
        change =
            it.getValue().isNull()
                ? change.withoutCapabilityArg(it.getKey())
                : change.withCapabilityArg(it.getKey(), it.getValue());
      }
    }
    for (Map.Entry<String, String> it :
        CniArgs.ofText(args.<String>getValue()).toMap().entrySet()) {
      Optional<String> value = Optional.of(it.getValue()).filter(text -> !text.isEmpty());
      change = change.withArg(it.getKey(), value);
    }
    return withEdits(change);
  }

  private AttachmentUpdate withEdits(AttachmentUpdate base) throws CniException {
    AttachmentUpdate change = base;
    for (String text : remove.<List<String>>getValue()) {
      change = change.withoutPlugin(text);
    }
    for (String text : append.<List<String>>getValue()) {
      change = change.withPlugin(Json.parse(text, append.longestName()));
    }
    for (String text : set.<List<String>>getValue()) {
      int equals = text.indexOf('=');
      PluginKey key = pluginKey(set, equals < 0 ? "" : text.substring(0, equals));
      change = change.withKey(key.type(), key.path(), value(text.substring(equals + 1)));
    }
    for (String text : unset.<List<String>>getValue()) {
      PluginKey key = pluginKey(unset, text);
      change = change.withoutKey(key.type(), key.path());
    }
    return change;
  }

  /** A key of the configuration of a plugin. */
  private record PluginKey(String type, String path) {}

  private static PluginKey pluginKey(OptionSpec option, String text) throws CniException {
    int dot = text.indexOf('.');
    if (dot <= 0 || dot == text.length() - 1) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "%s must have the form %s, such as bridge.mtu"
              .formatted(option.longestName(), option.paramLabel()));
    }
    return new PluginKey(text.substring(0, dot), text.substring(dot + 1));
  }

  /** Returns JSON, or a string for what is not JSON. */
  private static JsonNode value(String text) {
    try {
      return Json.parse("{\"value\":" + text + "}", "value").path("value");
    } catch (CniException e) {
      return StringNode.valueOf(text);
    }
  }
}
