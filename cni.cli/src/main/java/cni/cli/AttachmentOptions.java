package cni.cli;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.Json;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import tools.jackson.databind.JsonNode;

/** What says which container is attached to which network, as cnitool does. */
final class AttachmentOptions {
  private static final int CONTAINER_ID_BYTES = 10;

  private final HostOptions hostOptions;

  private final PositionalParamSpec network =
      Subcommand.requiredParameter(0, "NETWORK").description("The network's name.").build();

  private final PositionalParamSpec namespace =
      Subcommand.requiredParameter(1, "NETNS")
          .description("The container's namespace: a path, or a name that \"ip netns\" knows.")
          .build();

  private final OptionSpec interfaceName =
      OptionSpec.builder("-i", "--ifname")
          .type(String.class)
          .initialValue(EnvironmentVariables.get("CNI_IFNAME").orElse("eth0"))
          .paramLabel("NAME")
          .description("The interface in the container; CNI_IFNAME, or eth0.")
          .build();

  private final OptionSpec containerId =
      OptionSpec.builder("--container-id")
          .type(String.class)
          .paramLabel("ID")
          .description("The container's id; by default made from NETNS as cnitool makes it.")
          .build();

  private final OptionSpec args =
      OptionSpec.builder("--args")
          .type(String.class)
          .initialValue(EnvironmentVariables.get("CNI_ARGS").orElse(""))
          .paramLabel("K=V;...")
          .description("Arguments for the plugins; CNI_ARGS.")
          .build();

  private final OptionSpec capabilityArgs =
      OptionSpec.builder("--capability-args")
          .type(String.class)
          .initialValue(EnvironmentVariables.get("CAP_ARGS").orElse(""))
          .paramLabel("JSON")
          .description("Arguments for capabilities, an object by capability; CAP_ARGS.")
          .build();

  /** Options of a command. */
  AttachmentOptions(CommandSpec command) {
    hostOptions = new HostOptions(command);
    List.of(network, namespace).forEach(command::addPositional);
    List.of(interfaceName, containerId, args, capabilityArgs).forEach(command::addOption);
  }

  /** What a command does with the attachment. */
  interface Action {
    void apply(Network network, Attachment attachment) throws CniException;
  }

  /** Does it. */
  void apply(Action action) throws CniException {
    try (Cni cni = hostOptions.open()) {
      action.apply(cni.network(network.<String>getValue()), attachment());
    }
  }

  private Attachment attachment() throws CniException {
    Path path = NamespacePaths.resolve(namespace.getValue());
    @Nullable String given = containerId.getValue();
    String id = given == null ? cnitoolContainerId(path) : given;
    String forCapabilities = capabilityArgs.getValue();
    Map<String, JsonNode> capabilities = new LinkedHashMap<>();
    if (!forCapabilities.isEmpty()) {
      Json.parse(forCapabilities, "CAP_ARGS").properties().stream()
          .forEach(entry -> capabilities.put(entry.getKey(), entry.getValue()));
    }
    var attachmentId = new AttachmentId(id, interfaceName.getValue());
    return new Attachment(
        attachmentId, Optional.of(path), CniArgs.parse(args.getValue()), capabilities);
  }

  /** cnitool's, so that either can delete what the other added. */
  private static String cnitoolContainerId(Path path) {
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-512")
              .digest(path.toString().getBytes(StandardCharsets.UTF_8));
      return "cnitool-" + HexFormat.of().formatHex(Arrays.copyOf(digest, CONTAINER_ID_BYTES));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java platform has SHA-512
    }
  }
}
