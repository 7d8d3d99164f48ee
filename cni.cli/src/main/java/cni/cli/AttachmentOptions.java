// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.ParameterException;
import tools.jackson.databind.JsonNode;

/** The arguments and options that select a network and describe an attachment, as for cnitool. */
final class AttachmentOptions {
  /** What a container id begins with that is derived from the path of a namespace. */
  static final String DERIVED_ID_PREFIX = "cnitool-";

  private static final int CONTAINER_ID_BYTES = 10;

  private final HostOptions hostOptions;

  private final PositionalParamSpec network =
      Subcommand.requiredParameter(0, "NETWORK").description("Network name.").build();

  private final PositionalParamSpec namespace;

  private final OptionSpec interfaceName =
      OptionSpec.builder("-i", "--ifname")
          .type(String.class)
          .initialValue(EnvironmentVariables.get("CNI_IFNAME").orElse("eth0"))
          .paramLabel("NAME")
          .description("Interface name in the container; default: CNI_IFNAME, or eth0.")
          .build();

  private final OptionSpec containerId =
      OptionSpec.builder("--container-id")
          .type(String.class)
          .paramLabel("ID")
          .description("Container id; default: derived from NETNS as cnitool does.")
          .build();

  private final OptionSpec args =
      OptionSpec.builder("--args")
          .type(String.class)
          .initialValue(EnvironmentVariables.get("CNI_ARGS").orElse(""))
          .paramLabel("K=V;...")
          .description("Plugin arguments; default: CNI_ARGS.")
          .build();

  private final OptionSpec capabilityArgs =
      OptionSpec.builder("--capability-args")
          .type(String.class)
          .initialValue(EnvironmentVariables.get("CAP_ARGS").orElse(""))
          .paramLabel("JSON")
          .description(
              "Capability arguments, a JSON object keyed by capability; default: CAP_ARGS.")
          .build();

  private final CommandSpec command;

  /** Starts the parameter that names the container's namespace. */
  static PositionalParamSpec.Builder namespaceParameter() {
    return Subcommand.requiredParameter(1, "NETNS")
        .description(
            "Network namespace of the container: a path, or a name known to \"ip netns\".");
  }

  /** Adds the options to a command that makes an attachment. */
  AttachmentOptions(CommandSpec command) {
    this(command, namespaceParameter().build());
  }

  /** Adds the options to a command for attachments in the cache, {@link #applyToStored}. */
  static AttachmentOptions ofStored(CommandSpec command) {
    return new AttachmentOptions(
        command, namespaceParameter().arity("0..1").required(false).build());
  }

  private AttachmentOptions(CommandSpec command, PositionalParamSpec namespace) {
    this.command = command;
    this.namespace = namespace;
    hostOptions = new HostOptions(command);
    List.of(network, namespace).forEach(command::addPositional);
    List.of(interfaceName, containerId, args, capabilityArgs).forEach(command::addOption);
  }

  /** The work of a command on the network and the attachment. */
  interface Action {
    void apply(Network network, Attachment attachment) throws CniException;
  }

  /**
   * Opens the host and runs the action, which a signal interrupts: an ADD is then rolled back
   * before the process ends. Returns the exit status.
   */
  int apply(Action action) {
    return run((cni, found) -> action.apply(found, attachment()));
  }

  /**
   * Opens the host and runs the action as {@link #apply}, on an attachment that was made before:
   * what is not given is taken from the cache. NETNS may be missing if the container id is given.
   */
  int applyToStored(Action action) {
    if (namespaceArgument().isEmpty() && given(containerId).isEmpty()) {
      throw new ParameterException(
          command.commandLine(),
          "missing NETNS or --container-id ID, as in \"%s mynet blue\""
              .formatted(command.qualifiedName()));
    }
    return run(
        (cni, found) -> {
          Optional<String> name =
              given(interfaceName).or(() -> EnvironmentVariables.get("CNI_IFNAME"));
          var stored = new StoredAttachmentLookup(cni, found, given(containerId), name);
          action.apply(found, stored.complete(attachment()));
        });
  }

  private interface HostAction {
    void apply(Cni cni, Network network) throws CniException;
  }

  private int run(HostAction action) {
    return InterruptOnShutdown.run(
        "cni-cleanup",
        () -> {
          try (Cni cni = hostOptions.open()) {
            action.apply(cni, hostOptions.network(cni, network.getValue()));
            return 0;
          } catch (CniException e) {
            throw hostOptions.explained(e, network.getValue());
          }
        });
  }

  /** Returns NETNS as it was given. */
  Optional<String> namespaceArgument() {
    @Nullable String given = namespace.getValue();
    return Optional.ofNullable(given);
  }

  private Optional<String> given(OptionSpec option) {
    boolean isGiven = command.commandLine().getParseResult().hasMatchedOption(option);
    return isGiven ? Optional.of(option.<String>getValue()) : Optional.empty();
  }

  private Attachment attachment() throws CniException {
    Optional<Path> path = namespaceArgument().map(NamespacePaths::resolve);
    String id = given(containerId).orElseGet(() -> cnitoolContainerId(path.orElseThrow()));
    var attachmentId = new AttachmentId(id, interfaceName.getValue());
    return new Attachment(
        attachmentId, path, CniArgs.ofText(args.getValue()), parseCapabilityArgs());
  }

  /** Returns whether the capability arguments are those of the option, not of CAP_ARGS. */
  boolean isCapabilityArgsOption() {
    return command.commandLine().getParseResult().hasMatchedOption(capabilityArgs);
  }

  private Map<String, JsonNode> parseCapabilityArgs() throws CniException {
    String text = capabilityArgs.getValue();
    String source = isCapabilityArgsOption() ? capabilityArgs.longestName() : "CAP_ARGS";
    return text.isEmpty() ? Map.of() : CapabilityOptions.parseJson(text, source).toMap();
  }

  /** Derives the id that cnitool uses, so that each tool can delete what the other added. */
  static String cnitoolContainerId(Path path) {
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-512")
              .digest(path.toString().getBytes(StandardCharsets.UTF_8));
      return DERIVED_ID_PREFIX
          + HexFormat.of().formatHex(Arrays.copyOf(digest, CONTAINER_ID_BYTES));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java platform has SHA-512
    }
  }
}
