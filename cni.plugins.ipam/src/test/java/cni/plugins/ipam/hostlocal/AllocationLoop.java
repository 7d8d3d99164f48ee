// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.PluginConfig;
import cni.plugins.ipam.NoOpPluginHost;
import java.nio.file.Path;
import java.util.Optional;

/**
 * A process that reserves and releases addresses until it is killed. Arguments: the directory, a
 * prefix for its containers.
 */
final class AllocationLoop {
  private AllocationLoop() {}

  public static void main(String[] args) throws CniException {
    var plugin = new HostLocalPlugin();
    plugin.start(new NoOpPluginHost(Path.of(args[0])));
    PluginConfig config = config(args[0]);
    for (int i = 0; ; i++) {
      plugin.add(request(config, args[1] + i));
      if (i == 0) {
        System.out.println("ready");
      }
      if (i >= 20) {
        plugin.delete(request(config, args[1] + (i - 20)));
      }
    }
  }

  static PluginConfig config(String dataDir) throws CniException {
    String text =
        """
        {"cniVersion":"1.0.0","name":"n","type":"bridge",
         "ipam":{"type":"host-local","subnet":"10.7.0.0/16","dataDir":"%s"}}
        """
            .formatted(dataDir);
    return PluginConfig.of(new ConfigObject(Json.parse(text, "loop"), ""));
  }

  static AttachmentRequest request(PluginConfig config, String container) {
    return new AttachmentRequest(
        config,
        Attachment.of(container, Path.of("/none"), "eth0"),
        Optional.empty(),
        new CallContext(
            Optional.empty(),
            Deadline.none(),
            type -> {
              throw new CniException(ErrorCode.INTERNAL, type);
            }));
  }
}
