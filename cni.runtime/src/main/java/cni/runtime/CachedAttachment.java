// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.Objects.requireNonNull;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.NetworkConfig;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * What the cache holds of an attachment, from its ADD to its DEL.
 *
 * @param network the network's name
 * @param attachment the attachment with the arguments of its ADD; without the namespace's path if a
 *     libcni before 1.2 stored it and the result does not name it either
 * @param configText the network's configuration at the time of the ADD, as JSON; empty if it was
 *     not stored
 * @param resultJson the result of the ADD, as JSON; an empty object if there is none
 */
public record CachedAttachment(
    String network, Attachment attachment, String configText, ObjectNode resultJson) {
  /** Checks that no argument is null. */
  public CachedAttachment {
    requireNonNull(network, "network");
    requireNonNull(attachment, "attachment");
    requireNonNull(configText, "configText");
    requireNonNull(resultJson, "resultJson");
  }

  /**
   * Parses the network's configuration at the time of the ADD.
   *
   * @throws CniException code 6 or 7 if it was not stored or is invalid
   */
  public NetworkConfig config() throws CniException {
    return NetworkConfig.parse(
        configText.getBytes(StandardCharsets.UTF_8), "the stored configuration of " + network);
  }

  /**
   * Parses the result of the ADD.
   *
   * @throws CniException code 6 if it is not a valid result
   */
  public Result result() throws CniException {
    return ResultJson.read(resultJson, ResultCache.assumedVersion(resultJson, SpecVersion.V0_1_0));
  }

  /**
   * Returns an attachment with what is stored where the given one has nothing: the path of the
   * namespace, CNI_ARGS, and each capability argument. What is given wins.
   *
   * @param given an attachment with the same id
   */
  public Attachment completing(Attachment given) {
    requireNonNull(given, "given");
    Map<String, JsonNode> capabilityArgs = new LinkedHashMap<>(attachment.capabilityArgs());
    capabilityArgs.putAll(given.capabilityArgs());
    return new Attachment(
        given.id(),
        given.namespace().or(attachment::namespace),
        given.args().isEmpty() ? attachment.args() : given.args(),
        capabilityArgs);
  }

  /**
   * Returns the name of the attachment's interface in the container: that of CNI_IFNAME, unless the
   * result lists only others there. loopback sets up {@code lo} whatever the requested name.
   */
  public String interfaceName() {
    List<String> inContainer;
    try {
      inContainer =
          result().interfaces().stream()
              .filter(it -> !it.isOnHost())
              .map(Result.Interface::name)
              .toList();
    } catch (CniException e) {
      inContainer = List.of(); // the result cannot be read
    }
    String requested = attachment.interfaceName();
    return inContainer.isEmpty() || inContainer.contains(requested)
        ? requested
        : inContainer.getFirst();
  }

  /** Returns whether the attachment's namespace and interface exist now. */
  public AttachmentPresence presence() {
    return AttachmentPresence.of(attachment, interfaceName());
  }
}
