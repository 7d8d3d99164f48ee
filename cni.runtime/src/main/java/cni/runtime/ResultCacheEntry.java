// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Json;
import cni.api.Names;
import cni.api.NetworkConfig;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.api.internal.BootId;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The content of a cache file, in libcni's format of kind {@code cniCacheV1} ({@code cachedInfo} in
 * libcni/api.go): a JSON object with the keys
 *
 * <ul>
 *   <li>{@code kind}, {@code networkName}, {@code containerId}, {@code ifName};
 *   <li>{@code config}: the network's configuration, base64;
 *   <li>{@code netns}: the path of the container's namespace, since libcni 1.2;
 *   <li>{@code cniArgs}: CNI_ARGS as an array of pairs;
 *   <li>{@code capabilityArgs}: an object by capability;
 *   <li>{@code bootId}: the boot of the ADD ({@link BootId}); libcni does not write this key, and
 *       ignores it;
 *   <li>{@code result}: the last result of ADD; missing in the {@link AddJournal}.
 * </ul>
 *
 * @param network the network's name
 * @param attachment the attachment with its arguments
 * @param json the content
 */
record ResultCacheEntry(String network, Attachment attachment, ObjectNode json) {
  private static final String KIND = "cniCacheV1";
  private static final String BOOT_ID = "bootId";

  /**
   * Creates an entry without result.
   *
   * @throws CniException code 4 if the attachment's generic arguments are malformed
   */
  static ResultCacheEntry of(NetworkConfig network, Attachment attachment) throws CniException {
    ObjectNode json = Json.object();
    json.put("kind", KIND);
    json.put("containerId", attachment.containerId());
    json.put("config", Json.bytes(network.json())); // Jackson writes bytes as base64, as Go does
    json.put("ifName", attachment.interfaceName());
    json.put("networkName", network.name());
    attachment.namespace().ifPresent(path -> json.put("netns", path.toString()));
    if (!attachment.args().isEmpty()) {
      ArrayNode args = json.putArray("cniArgs");
      attachment.args().toMap().forEach((key, value) -> args.addArray().add(key).add(value));
    }
    if (!attachment.capabilityArgs().isEmpty()) {
      json.putObject("capabilityArgs").setAll(attachment.capabilityArgs());
    }
    BootId.current().ifPresent(id -> json.put(BOOT_ID, id));
    return new ResultCacheEntry(network.name(), attachment, json);
  }

  /**
   * Returns the same entry with a result, which comes last: its bytes begin with those of this one,
   * except for the closing brace.
   *
   * @param version the version of the ADD, in which the result is written
   * @throws CniException if the result cannot be expressed in that version
   */
  ResultCacheEntry with(Result result, SpecVersion version) throws CniException {
    return with(ResultJson.write(result, version));
  }

  /** Returns the same entry with a result in JSON. */
  ResultCacheEntry with(ObjectNode result) {
    ObjectNode complete = json.deepCopy();
    complete.set("result", result);
    return new ResultCacheEntry(network, attachment, complete);
  }

  /** Returns the content of the file. */
  byte[] bytes() {
    return Json.bytes(json);
  }

  /** Returns whether the content of a file is an entry of this format, and not a bare result. */
  static boolean isEntry(ObjectNode json) {
    return json.path("kind").asString("").equals(KIND);
  }

  /**
   * Reads the content of a file; absent if it is not an entry or does not name its attachment
   * properly.
   */
  static Optional<CachedAttachment> read(ObjectNode json) {
    String network = json.path("networkName").asString("");
    AttachmentId id = idOf(json);
    if (!isEntry(json)
        || !Names.isIdentifier(network)
        || !Names.isIdentifier(id.containerId())
        || !Names.isInterfaceName(id.interfaceName())) {
      return Optional.empty();
    }
    var attachment =
        new Attachment(
            id,
            namespace(json, id),
            args(json.path("cniArgs")),
            capabilityArgs(json.path("capabilityArgs")));
    ObjectNode result = json.get("result") instanceof ObjectNode object ? object : Json.object();
    return Optional.of(
        new CachedAttachment(network, attachment, decode(json.path("config")), result));
  }

  /** Returns whether an entry names this attachment. One of libcni may lack the network's name. */
  static boolean isOf(ObjectNode json, String network, AttachmentId id) {
    return json.path("networkName").asString(network).equals(network) && idOf(json).equals(id);
  }

  /**
   * Returns the attachment of an entry in a file with this name, if the name agrees with what the
   * entry says; its network is taken from the name if the entry does not name it.
   */
  static Optional<AttachmentId> idIfNamed(ObjectNode json, String fileName) {
    AttachmentId id = idOf(json);
    String expected = CacheDirectory.fileName(json.path("networkName").asString(""), id);
    boolean matches =
        json.has("networkName")
            ? fileName.equals(expected)
            : fileName.endsWith(expected) && fileName.length() > expected.length();
    return matches && !id.containerId().isEmpty() && !id.interfaceName().isEmpty()
        ? Optional.of(id)
        : Optional.empty();
  }

  /**
   * Returns whether an attachment is of an earlier boot, after which nothing of it is left in the
   * kernel. If its content does not name the boot, because libcni has written it, the time of the
   * file decides.
   *
   * @throws IOException if the time cannot be read
   */
  static boolean isOfEarlierBoot(ObjectNode json, Path file) throws IOException {
    String bootId = json.path(BOOT_ID).asString("");
    if (bootId.isEmpty()) {
      return BootId.isBeforeBoot(Files.getLastModifiedTime(file).toInstant());
    }
    return BootId.current().filter(current -> !current.equals(bootId)).isPresent();
  }

  /**
   * Returns the attachment that the content of a file names, with empty strings for missing keys.
   */
  static AttachmentId idOf(ObjectNode json) {
    return new AttachmentId(
        json.path("containerId").asString(""), json.path("ifName").asString(""));
  }

  /**
   * Returns the namespace's path; in files of libcni before 1.2 it is only in the result, if at
   * all.
   */
  private static Optional<Path> namespace(ObjectNode json, AttachmentId id) {
    String path = json.path("netns").asString("");
    for (JsonNode it : json.path("result").path("interfaces")) {
      if (path.isEmpty() && it.path("name").asString("").equals(id.interfaceName())) {
        path = it.path("sandbox").asString("");
      }
    }
    try {
      return path.isEmpty() ? Optional.empty() : Optional.of(Path.of(path));
    } catch (InvalidPathException e) {
      return Optional.empty(); // no such file can exist
    }
  }

  private static Map<String, String> args(JsonNode pairs) {
    Map<String, String> args = new LinkedHashMap<>();
    for (JsonNode pair : pairs) {
      args.put(pair.path(0).asString(""), pair.path(1).asString(""));
    }
    return args;
  }

  private static Map<String, JsonNode> capabilityArgs(JsonNode object) {
    Map<String, JsonNode> args = new LinkedHashMap<>();
    object.properties().forEach(entry -> args.put(entry.getKey(), entry.getValue()));
    return args;
  }

  private static String decode(JsonNode base64) {
    try {
      byte[] bytes = Base64.getDecoder().decode(base64.asString(""));
      return new String(bytes, StandardCharsets.UTF_8);
    } catch (IllegalArgumentException e) {
      return "";
    }
  }
}
