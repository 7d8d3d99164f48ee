package cni.runtime;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.NetworkConfig;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import java.nio.charset.StandardCharsets;
import tools.jackson.databind.node.ObjectNode;

/**
 * What is kept of an attachment from its ADD to its DEL.
 *
 * @param network the network's name
 * @param attachment the attachment with the arguments that it was added with
 * @param configText the network's configuration as it was then, as JSON; empty if it was not kept
 * @param resultJson the result as JSON; empty if there is none
 */
public record CachedAttachment(
    String network, Attachment attachment, String configText, ObjectNode resultJson) {
  /**
   * The network's configuration as it was then.
   *
   * @throws CniException code 6 or 7 if it was not kept or makes no sense
   */
  public NetworkConfig config() throws CniException {
    return NetworkConfig.parse(
        configText.getBytes(StandardCharsets.UTF_8), "the kept configuration of " + network);
  }

  /**
   * The result of the ADD.
   *
   * @throws CniException code 6 if what was kept is not one
   */
  public Result result() throws CniException {
    return ResultJson.read(resultJson, ResultCache.assumedVersion(resultJson, SpecVersion.V0_1_0));
  }
}
