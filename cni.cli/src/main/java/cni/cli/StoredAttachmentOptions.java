// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** The arguments and options that select attachments in the cache, made by any program. */
final class StoredAttachmentOptions {
  private final HostOptions hostOptions;

  private final PositionalParamSpec network;

  private final PositionalParamSpec namespace =
      AttachmentOptions.namespaceParameter().arity("0..1").required(false).build();

  private final OptionSpec interfaceName =
      OptionSpec.builder("-i", "--ifname")
          .type(String.class)
          .initialValue("")
          .paramLabel("NAME")
          .description("Interface name in the container; default: all of the container.")
          .build();

  private final OptionSpec containerId =
      OptionSpec.builder("--container-id")
          .type(String.class)
          .initialValue("")
          .paramLabel("ID")
          .description("Container id, instead of NETNS; \"cni list\" shows it.")
          .build();

  /**
   * Adds the options to a command.
   *
   * @param requiresNetwork whether the command needs a network's name
   */
  StoredAttachmentOptions(CommandSpec command, boolean requiresNetwork) {
    hostOptions = new HostOptions(command);
    network =
        Subcommand.requiredParameter(0, "NETWORK")
            .arity(requiresNetwork ? "1" : "0..1")
            .required(requiresNetwork)
            .description("Network name" + (requiresNetwork ? "." : "; default: all networks."))
            .build();
    command.addPositional(network).addPositional(namespace);
    command.addOption(interfaceName).addOption(containerId);
  }

  /** Returns the network's name; empty for all networks. */
  String network() {
    @Nullable String given = network.getValue();
    return given == null ? "" : given;
  }

  /** Returns whether the options name a container. */
  boolean nameContainer() {
    return namespace.<@Nullable String>getValue() != null
        || !containerId.<String>getValue().isEmpty();
  }

  /** Opens the host and its plugins. */
  Cni open() throws CniException {
    return hostOptions.open();
  }

  /**
   * Returns the selected attachments.
   *
   * @throws CniException code 4 if the options name a network or a container and there are none
   */
  List<CachedAttachment> select(Cni cni) throws CniException {
    List<CachedAttachment> found = new ArrayList<>(cni.attachments());
    found.removeIf(it -> !isSelected(it));
    if (found.isEmpty() && (nameContainer() || !network().isEmpty())) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "no attachment%s is kept in the cache; \"cni list\" shows those that are"
              .formatted(description()));
    }
    return found;
  }

  private boolean isSelected(CachedAttachment cached) {
    Attachment attachment = cached.attachment();
    String id = containerId.getValue();
    String name = interfaceName.getValue();
    return (network().isEmpty() || cached.network().equals(network()))
        && (id.isEmpty() || attachment.containerId().equals(id))
        && (name.isEmpty() || attachment.interfaceName().equals(name))
        && namespacePath().map(path -> isSamePath(path, attachment)).orElse(true);
  }

  /** Compares paths as the same file: container engines write /var/run, a link to /run. */
  static boolean isSamePath(Path path, Attachment attachment) {
    return attachment
        .namespace()
        .filter(it -> it.equals(path) || realPath(it).equals(realPath(path)))
        .isPresent();
  }

  private static Path realPath(Path path) {
    try {
      return path.toRealPath();
    } catch (IOException e) {
      return path; // the namespace no longer exists
    }
  }

  private Optional<Path> namespacePath() {
    @Nullable String given = namespace.getValue();
    return given == null ? Optional.empty() : Optional.of(NamespacePaths.resolve(given));
  }

  private String description() {
    var text = new StringBuilder();
    String id = containerId.getValue();
    text.append(id.isEmpty() ? "" : " of container " + id);
    namespacePath().ifPresent(path -> text.append(" of ").append(path));
    text.append(network().isEmpty() ? "" : " to network " + network());
    return text.toString();
  }
}
