// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.JsonNode;

/**
 * The attachment of a container to a network: the parameters that the runtime chooses (SPEC section
 * 3, "Attachment Parameters").
 *
 * @param id the container and its interface
 * @param namespace the path of the container's network namespace; absent only on DEL, when the
 *     namespace is no longer known
 * @param args the generic arguments (CNI_ARGS)
 * @param capabilityArgs the capability arguments by capability name
 */
public record Attachment(
    AttachmentId id, Optional<Path> namespace, CniArgs args, Map<String, JsonNode> capabilityArgs) {
  /** Copies the map and keeps its order. */
  public Attachment {
    requireNonNull(id, "id");
    requireNonNull(namespace, "namespace");
    requireNonNull(args, "args");
    requireNonNull(capabilityArgs, "capabilityArgs");
    capabilityArgs = Collections.unmodifiableMap(new LinkedHashMap<>(capabilityArgs));
  }

  /** Creates an attachment with the given generic arguments, in the order of the map. */
  public Attachment(
      AttachmentId id,
      Optional<Path> namespace,
      Map<String, String> args,
      Map<String, JsonNode> capabilityArgs) {
    this(id, namespace, CniArgs.of(requireNonNull(args, "args")), capabilityArgs);
  }

  /** Returns an attachment without arguments. */
  public static Attachment of(String containerId, Path namespace, String interfaceName) {
    var id = new AttachmentId(containerId, interfaceName);
    requireNonNull(namespace, "namespace");
    return new Attachment(id, Optional.of(namespace), Map.of(), Map.of());
  }

  /** Returns a copy without a namespace, for a DEL after the namespace is no longer known. */
  public Attachment withoutNamespace() {
    return new Attachment(id, Optional.empty(), args, capabilityArgs);
  }

  /** Returns a copy with the given generic arguments. */
  public Attachment withArgs(Map<String, String> newArgs) {
    requireNonNull(newArgs, "newArgs");
    return new Attachment(id, namespace, CniArgs.of(newArgs), capabilityArgs);
  }

  /** Returns a copy with the given capability arguments. */
  public Attachment withCapabilityArgs(Map<String, JsonNode> newCapabilityArgs) {
    requireNonNull(newCapabilityArgs, "newCapabilityArgs");
    return new Attachment(id, namespace, args, newCapabilityArgs);
  }

  /** Returns a copy with the given capability arguments. */
  public Attachment withCapabilityArgs(CapabilityArgs newCapabilityArgs) {
    requireNonNull(newCapabilityArgs, "newCapabilityArgs");
    return withCapabilityArgs(newCapabilityArgs.toMap());
  }

  /** Returns the container's id (CNI_CONTAINERID). */
  public String containerId() {
    return id.containerId();
  }

  /** Returns the interface's name inside the container (CNI_IFNAME). */
  public String interfaceName() {
    return id.interfaceName();
  }

  /** Returns the {@code sandbox} of results: the namespace's path, or the empty string. */
  public String sandbox() {
    return namespace.map(Path::toString).orElse("");
  }

  /**
   * Requires that the container id, the interface name and the generic arguments are well formed.
   *
   * @throws CniException code 4 if one is malformed
   */
  public void requireValid() throws CniException {
    requireValid(id);
    args.toMap();
  }

  /**
   * Requires that a container id and an interface name are well formed.
   *
   * @throws CniException code 4 if one is malformed
   */
  public static void requireValid(AttachmentId id) throws CniException {
    requireNonNull(id, "id");
    Names.requireContainerId(id.containerId());
    Names.requireInterfaceName(id.interfaceName());
  }
}
