// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.GcRequest;
import cni.api.Json;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.plugins.ipam.ResolvConf;
import cni.testing.MutationCampaign;
import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Whatever is in configurations and files, host-local fails with a CniException or works. */
class HostLocalMutationTest {
  private static final String CONFIG =
      """
      {"cniVersion":"1.1.0","name":"n","type":"bridge",
       "args":{"cni":{"ips":["10.1.0.9/16"]}},
       "runtimeConfig":{"ips":["fd00::9"],"ipRanges":[[{"subnet":"10.3.0.0/24"}]]},
       "ipam":{"type":"host-local","dataDir":"/data","resolvConf":"/resolv.conf",
        "subnet":"10.9.0.0/29","rangeStart":"10.9.0.2","rangeEnd":"10.9.0.3","gateway":"10.9.0.1",
        "ranges":[[{"subnet":"10.1.0.0/16"},{"subnet":"10.2.0.0/30"}],[{"subnet":"fd00::/64"}]],
        "routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1","mtu":1400}]}}
      """;

  private static final String MINIMAL =
      "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"t\",\"ipam\":{\"type\":\"host-local\","
          + "\"subnet\":\"10.1.0.0/29\",\"dataDir\":\"/data\"}}";

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static FileSystem newFileSystem() {
    return Jimfs.newFileSystem(
        Configuration.unix().toBuilder().setAttributeViews("basic", "posix").build());
  }

  private static void callAll(HostLocalPlugin plugin, byte[] json) throws CniException {
    PluginConfig config = PluginConfig.of(new ConfigObject(Json.parse(json, "test"), ""));
    var attachment =
        new Attachment(new AttachmentId("attached", "eth0"), Optional.empty(), Map.of(), Map.of());
    var context = AllocationLoop.request(config, "c").context();
    var request = new AttachmentRequest(config, attachment, Optional.empty(), context);
    plugin.status(new NetworkRequest(config, context));
    plugin.add(request);
    plugin.check(request);
    plugin.delete(request);
    plugin.gc(new GcRequest(config, Set.of(), context));
  }

  @Test
  void configurations() throws Exception {
    try (FileSystem files = newFileSystem()) {
      Files.writeString(files.getPath("/resolv.conf"), "nameserver 10.0.0.1");
      var plugin = new HostLocalPlugin(files, (file, deadline) -> () -> {});
      MutationCampaign.run(
          "configurations of host-local",
          List.of(bytes(CONFIG), bytes(MINIMAL)),
          json -> callAll(plugin, json),
          CniException.class);
    }
  }

  @Test
  void reservationFiles() throws Exception {
    try (FileSystem files = newFileSystem()) {
      var plugin = new HostLocalPlugin(files, (file, deadline) -> () -> {});
      Path directory = Files.createDirectories(files.getPath("/data/n"));
      MutationCampaign.run(
          "reservations",
          List.of(bytes("c1\r\neth0"), bytes("c1"), bytes("10.1.0.2")),
          content -> {
            Files.write(directory.resolve("10.1.0.3"), content);
            Files.write(directory.resolve("last_reserved_ip.0"), content);
            callAll(plugin, bytes(MINIMAL));
            if (Files.exists(directory.resolve("10.1.0.3"))) {
              throw new AssertionError("GC without attachments leaves a reservation");
            }
          });
    }
  }

  @Test
  void resolverConfigurations() throws Exception {
    try (FileSystem files = newFileSystem()) {
      Path file = files.getPath("/resolv.conf");
      MutationCampaign.run(
          "resolv.conf",
          List.of(bytes("# x\nnameserver 10.0.0.1\nsearch a b\r\noptions ndots:5\ndomain d\n")),
          content -> {
            Files.write(file, content);
            ResolvConf.read(file);
          });
    }
  }
}
