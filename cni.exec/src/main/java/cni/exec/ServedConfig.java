// SPDX-License-Identifier: Apache-2.0
package cni.exec;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.Json;
import cni.api.Names;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.api.internal.IoErrors;
import java.io.IOException;
import java.io.InputStream;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.node.ObjectNode;

/**
 * The configuration of a call that this process serves, read from its standard input: the plugin's
 * configuration with the keys that the runtime adds to it.
 */
final class ServedConfig {
  /** A configuration has a few kilobytes; this bounds the memory that a caller can make us use. */
  static final int MAX_INPUT_BYTES = 8 * 1024 * 1024;

  private final ObjectNode json;
  private final ConfigObject view;

  private ServedConfig(ObjectNode json) {
    this.json = json;
    this.view = new ConfigObject(json, "");
  }

  /**
   * Reads a configuration to the end of the stream and checks the network's name.
   *
   * @throws CniException code 5 if it cannot be read or is too long, code 6 if it is not a JSON
   *     object, code 7 if the name is missing or malformed
   */
  static ServedConfig read(InputStream in) throws CniException {
    byte[] bytes = readBytes(in);
    if (bytes.length == 0) {
      throw new CniException(
          ErrorCode.DECODING_FAILURE,
          "standard input is empty; it must be the plugin's configuration");
    }
    var config = new ServedConfig(Json.parse(bytes, "the configuration on standard input"));
    Names.requireNetworkName(
        config
            .view
            .text("name")
            .orElseThrow(
                () -> config.view.invalid("name", "is missing: give the name of the network")));
    return config;
  }

  private static byte[] readBytes(InputStream in) throws CniException {
    byte[] bytes;
    try {
      bytes = in.readNBytes(MAX_INPUT_BYTES + 1);
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, "standard input cannot be read: " + IoErrors.reason(e), e);
    }
    if (bytes.length > MAX_INPUT_BYTES) {
      throw new CniException(
          ErrorCode.IO_FAILURE,
          "standard input is longer than " + MAX_INPUT_BYTES + " bytes, the limit for requests");
    }
    return bytes;
  }

  /**
   * Returns the configuration's {@code cniVersion}.
   *
   * @throws CniException code 6 if it is not a version (SPEC section 5: "failed to decode version
   *     info")
   */
  Optional<SpecVersion> version() throws CniException {
    try {
      return view.parsed("cniVersion", SpecVersion::parse);
    } catch (CniException e) {
      throw new CniException(ErrorCode.DECODING_FAILURE, e.getMessage(), e);
    }
  }

  /**
   * Returns the plugin's configuration, without the keys that the protocol adds.
   *
   * @param servedType the type if the configuration has none. In a request to a delegate the type
   *     is that of the delegating plugin, so it need not be the served plugin's.
   */
  PluginConfig pluginConfig(String servedType) throws CniException {
    ObjectNode config = Json.copy(json);
    config.remove("prevResult");
    GcRequest.VALID_ATTACHMENTS.forEach(config::remove);
    try {
      return PluginConfig.of(new ConfigObject(config, ""));
    } catch (CniException e) {
      if (config.has("type") && !config.get("type").isString() && !config.get("type").isNull()) {
        throw e;
      }
      config.put("type", servedType); // a missing or malformed type is ignored, as by skel
      return PluginConfig.of(new ConfigObject(config, ""));
    }
  }

  /**
   * Returns the previous result.
   *
   * @throws CniException code 7 if it is not an object, otherwise as {@link ResultJson#read}
   */
  Optional<Result> prevResult() throws CniException {
    Optional<ConfigObject> prevResult = view.object("prevResult");
    if (prevResult.isEmpty()) {
      return Optional.empty();
    }
    SpecVersion configVersion =
        view.parsed("cniVersion", SpecVersion::parse).orElse(SpecVersion.V0_1_0);
    try {
      return Optional.of(ResultJson.read(prevResult.get().json(), configVersion));
    } catch (CniException e) {
      throw e.withContext("prevResult");
    }
  }

  /**
   * Returns the valid attachments of a GC.
   *
   * @throws CniException code 7 if they are not a list of objects
   */
  Set<AttachmentId> validAttachments() throws CniException {
    Set<AttachmentId> valid = new HashSet<>();
    for (String key : GcRequest.VALID_ATTACHMENTS) {
      for (ConfigObject attachment : view.objects(key)) {
        valid.add(
            new AttachmentId(
                attachment.text("containerID").orElse(""), attachment.text("ifname").orElse("")));
      }
    }
    return valid;
  }
}
