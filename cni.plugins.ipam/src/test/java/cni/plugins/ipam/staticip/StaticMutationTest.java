// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.staticip;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.testing.MutationCampaign;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Whatever is in configurations and arguments, static fails with a CniException or works. */
class StaticMutationTest {
  private static final String CONFIG =
      """
      {"cniVersion":"1.1.0","name":"n","type":"bridge","args":{"cni":{"ips":[]}},
       "runtimeConfig":{"ips":[]},
       "ipam":{"type":"static","addresses":[{"address":"10.1.0.5/16","gateway":"10.1.0.1"},
        {"address":"fd00::5/64"}],"dns":{"nameservers":["10.0.0.1"],"search":["a"]},
        "routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"}]}}
      """;

  private static final CallContext CONTEXT =
      new CallContext(
          Optional.empty(),
          Deadline.none(),
          type -> {
            throw new CniException(ErrorCode.INTERNAL, type);
          });

  private static void callAll(byte[] json, CniArgs args) throws CniException {
    PluginConfig config = PluginConfig.of(new ConfigObject(Json.parse(json, "test"), ""));
    Attachment plain = Attachment.of("c", Path.of("/none"), "eth0");
    var attachment = new Attachment(plain.id(), plain.namespace(), args, Map.of());
    var plugin = new StaticPlugin();
    plugin.status(new NetworkRequest(config, CONTEXT));
    Result result =
        plugin.add(new AttachmentRequest(config, attachment, Optional.empty(), CONTEXT));
    plugin.check(new AttachmentRequest(config, attachment, Optional.of(result), CONTEXT));
  }

  @Test
  void configurations() throws Exception {
    MutationCampaign.run(
        "configurations of static",
        List.of(CONFIG.getBytes(StandardCharsets.UTF_8)),
        json -> callAll(json, CniArgs.NONE),
        CniException.class);
  }

  @Test
  void arguments() throws Exception {
    byte[] config = CONFIG.getBytes(StandardCharsets.UTF_8);
    MutationCampaign.run(
        "arguments of static",
        List.of("IP=10.2.0.5/16,fd01::5/64;GATEWAY=10.2.0.1".getBytes(StandardCharsets.UTF_8)),
        args -> callAll(config, CniArgs.ofText(new String(args, StandardCharsets.UTF_8))),
        CniException.class);
  }
}
