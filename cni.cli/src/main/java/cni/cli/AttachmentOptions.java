package cni.cli;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.GenericArgs;
import cni.api.Json;
import cni.netlink.ffm.CLibrary;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;

/** What says which container is attached to which network, as cnitool does. */
final class AttachmentOptions {
  private static final int CONTAINER_ID_BYTES = 10;

  @Mixin private HostOptions host = new HostOptions();

  @Parameters(index = "0", paramLabel = "NETWORK", description = "The network's name.")
  private String network = "";

  @Parameters(
      index = "1",
      paramLabel = "NETNS",
      description = "The container's namespace: a path, or a name that \"ip netns\" knows.")
  private String namespace = "";

  @Option(
      names = {"-i", "--ifname"},
      paramLabel = "NAME",
      description = "The interface in the container; CNI_IFNAME, or eth0.")
  private String interfaceName = Environment.get("CNI_IFNAME").orElse("eth0");

  @Option(
      names = "--container-id",
      paramLabel = "ID",
      description = "The container's id; by default made from NETNS as cnitool makes it.")
  private @Nullable String containerId;

  @Option(
      names = "--args",
      paramLabel = "K=V;...",
      description = "Arguments for the plugins; CNI_ARGS.")
  private String args = Environment.get("CNI_ARGS").orElse("");

  @Option(
      names = "--capability-args",
      paramLabel = "JSON",
      description = "Arguments for capabilities, an object by capability; CAP_ARGS.")
  private String capabilityArgs = Environment.get("CAP_ARGS").orElse("");

  /** What a command does with the attachment. */
  interface Action {
    void apply(Network network, Attachment attachment) throws CniException;
  }

  /** Does it. */
  void apply(Action action) throws CniException {
    CLibrary.beginLinking();
    try (Cni cni = host.open()) {
      action.apply(cni.network(network), attachment());
    }
  }

  private Attachment attachment() throws CniException {
    Path path = NamespacePaths.resolve(namespace);
    String id = containerId == null ? containerIdOf(path) : containerId;
    Map<String, JsonNode> capabilities = new LinkedHashMap<>();
    if (!capabilityArgs.isEmpty()) {
      Json.parse(capabilityArgs, "CAP_ARGS").properties().stream()
          .forEach(entry -> capabilities.put(entry.getKey(), entry.getValue()));
    }
    var attachmentId = new AttachmentId(id, interfaceName);
    return new Attachment(attachmentId, Optional.of(path), GenericArgs.parse(args), capabilities);
  }

  /** cnitool's, so that either can delete what the other added. */
  private static String containerIdOf(Path path) {
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
