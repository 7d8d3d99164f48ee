package cni.api;

import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.JsonNode;

/**
 * A container's place on a network: what the runtime decides for each attachment (SPEC section 3,
 * "Attachment Parameters").
 *
 * @param id the container and the interface in it
 * @param namespace the path of the container's network namespace; may be absent when it is deleted
 * @param args generic arguments, CNI_ARGS
 * @param capabilityArgs arguments for capabilities, by capability
 */
public record Attachment(
    AttachmentId id,
    Optional<Path> namespace,
    Map<String, String> args,
    Map<String, JsonNode> capabilityArgs) {
  /** Takes copies of the maps, in their order. */
  public Attachment {
    args = Collections.unmodifiableMap(new LinkedHashMap<>(args));
    capabilityArgs = Collections.unmodifiableMap(new LinkedHashMap<>(capabilityArgs));
  }

  /** An attachment without arguments. */
  public static Attachment of(String containerId, Path namespace, String interfaceName) {
    var id = new AttachmentId(containerId, interfaceName);
    return new Attachment(id, Optional.of(namespace), Map.of(), Map.of());
  }

  /** The same, for deleting an attachment whose namespace is not known any more. */
  public Attachment withoutNamespace() {
    return new Attachment(id, Optional.empty(), args, capabilityArgs);
  }

  /** The same with these generic arguments. */
  public Attachment withArgs(Map<String, String> newArgs) {
    return new Attachment(id, namespace, newArgs, capabilityArgs);
  }

  /** The same with these arguments for capabilities. */
  public Attachment withCapabilityArgs(Map<String, JsonNode> newCapabilityArgs) {
    return new Attachment(id, namespace, args, newCapabilityArgs);
  }

  /** The container's id. */
  public String containerId() {
    return id.containerId();
  }

  /** The interface's name inside the container. */
  public String interfaceName() {
    return id.interfaceName();
  }

  /** The namespace as results tell it: its path, or the empty string. */
  public String sandbox() {
    return namespace.map(Path::toString).orElse("");
  }

  /**
   * Checks the container's id and the interface's name.
   *
   * @throws CniException code 4 if one is malformed
   */
  public void requireValid() throws CniException {
    requireValid(id);
  }

  /**
   * Checks a container's id and an interface's name.
   *
   * @throws CniException code 4 if one is malformed
   */
  public static void requireValid(AttachmentId id) throws CniException {
    Names.requireContainerId(id.containerId());
    Names.requireInterfaceName(id.interfaceName());
  }
}
