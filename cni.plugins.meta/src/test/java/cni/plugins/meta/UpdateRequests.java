// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.Json;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.UpdateRequest;
import cni.testing.TestHost;
import java.util.Optional;

/** Requests for a chained plugin alone, as the runtime derives them. */
public final class UpdateRequests {
  private UpdateRequests() {}

  /**
   * Returns a request to bring an attachment from one configuration of the plugin to another.
   *
   * @param result the stored result of the attachment
   * @param current the plugin's configuration in JSON
   */
  public static UpdateRequest of(
      TestHost host,
      String network,
      Attachment attachment,
      Result result,
      String current,
      String desired)
      throws CniException {
    return new UpdateRequest(
        request(host, network, attachment, result, current),
        request(host, network, attachment, result, desired));
  }

  /** Returns a request of CHECK and repair. */
  public static UpdateRequest unchanged(
      TestHost host, String network, Attachment attachment, Result result, String config)
      throws CniException {
    return UpdateRequest.unchanged(request(host, network, attachment, result, config));
  }

  private static AttachmentRequest request(
      TestHost host, String network, Attachment attachment, Result result, String config)
      throws CniException {
    String json = config.replace("@DATA@", host.ipamData().toString());
    PluginConfig plugin = PluginConfig.of(new ConfigObject(Json.parse(json, "test"), ""));
    var context =
        new CallContext(
            Optional.of(host.netns().path()),
            Deadline.none(),
            type -> {
              throw new IllegalStateException(type); // chained plugins delegate to none
            });
    return new AttachmentRequest(
        plugin.forRequest(network, SpecVersion.V1_1_0, attachment.capabilityArgs()),
        attachment,
        Optional.of(result),
        context);
  }
}
