// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.api.PluginConfig;
import cni.plugins.meta.bandwidth.BandwidthPlugin;
import cni.plugins.meta.firewall.FirewallPlugin;
import cni.plugins.meta.portmap.PortMapPlugin;
import cni.plugins.meta.sbr.SbrPlugin;
import cni.plugins.meta.tuning.TuningPlugin;
import cni.plugins.meta.vrf.VrfPlugin;
import cni.testing.JsonMutator;
import cni.testing.MutationCampaign;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.node.ObjectNode;

/**
 * ADD with mutations of valid configurations and without a previous result, for want of which it
 * ends before it touches the kernel: whatever the configuration has, an error with a code is
 * thrown.
 */
class ConfigMutationTest {
  private static final Set<Integer> EXPECTED_CODES = Set.of(2, 4, 6, 7);
  private static final int FIRST_PLUGIN_CODE = 100;
  private static final int ROUNDS = 2000;

  private static final Map<NetworkPlugin, List<String>> CONFIGS =
      Map.of(
          new PortMapPlugin(),
          List.of(
              """
              { "snat": true, "masqAll": false, "backend": "nftables",
                "conditionsV4": ["ip", "saddr", "!=", "{", "10.0.0.0/8,", "192.0.2.1", "}"],
                "conditionsV6": ["tcp sport 1024-65535 iifname { up0, lo }"],
                "runtimeConfig": { "portMappings": [
                  { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
                  { "hostPort": 8081, "containerPort": 81, "hostIP": "192.0.2.1" } ] } }
              """,
              """
              { "markMasqBit": 4, "conditionsV4": ["!", "-s", "10.0.0.0/8", "-i", "eth+"],
                "conditionsV6": ["-d", "fd00::/8"] }
              """,
              "{ \"backend\": \"iptables\", \"externalSetMarkChain\": \"THEIRS\" }"),
          new FirewallPlugin(),
          List.of(
              """
              { "backend": "iptables", "iptablesAdminChainName": "MINE", "firewalldZone": "z",
                "ingressPolicy": "same-bridge" }
              """),
          new BandwidthPlugin(),
          List.of(
              """
              { "ingressRate": 8000, "ingressBurst": 8000, "egressRate": 9000, "egressBurst": 9000,
                "shapedSubnets": ["10.0.0.0/8", "fd00::/8"] }
              """,
              """
              { "unshapedSubnets": ["10.0.0.0/8"],
                "runtimeConfig": { "bandwidth": { "ingressRate": 8000, "ingressBurst": 8000 } } }
              """),
          new TuningPlugin(),
          List.of(
              """
              { "dataDir": "/run/cni/tuning", "mac": "02:00:00:00:00:01", "mtu": 1400,
                "promisc": true, "allmulti": false, "txQLen": 100,
                "sysctl": { "net.core.somaxconn": "1", "net.ipv4.conf.IFNAME.arp_filter": "1" },
                "args": { "cni": { "mac": "02:00:00:00:00:02", "sysctl": { "net.x": "2" } } } }
              """),
          new SbrPlugin(),
          List.of("{ \"table\": 100, \"gateways\": [\"10.0.0.1\"], \"addSourceHints\": true }"),
          new VrfPlugin(),
          List.of("{ \"vrfname\": \"blue\", \"table\": 10 }"));

  @Test
  void everyMutationIsAnsweredByAnErrorWithACode() throws Exception {
    for (Map.Entry<NetworkPlugin, List<String>> entry : CONFIGS.entrySet()) {
      NetworkPlugin plugin = entry.getKey();
      for (String text : entry.getValue()) {
        ObjectNode config = Json.parse(text, "test");
        config.put("cniVersion", "1.1.0").put("name", "n").put("type", plugin.type());
        MutationCampaign.run(
            "configurations of " + plugin.type(),
            ROUNDS,
            random -> JsonMutator.mutate(config, random),
            mutated -> assertFailsWithCode(plugin, mutated));
      }
    }
  }

  private static void assertFailsWithCode(NetworkPlugin plugin, ObjectNode config) {
    CniException e = assertThrows(CniException.class, () -> plugin.add(request(config)));
    assertTrue(
        EXPECTED_CODES.contains(e.code()) || (e.code() >= FIRST_PLUGIN_CODE && e.code() != 999),
        () -> "code " + e.code() + ": " + e.getMessage());
  }

  private static AttachmentRequest request(ObjectNode json) throws CniException {
    var context =
        new CallContext(
            Optional.empty(),
            Deadline.after(Duration.ofMinutes(1)),
            type -> {
              throw new IllegalStateException(type); // chained plugins delegate to none
            });
    return new AttachmentRequest(
        PluginConfig.of(new ConfigObject(json, "")),
        Attachment.of("c", Path.of("/run/netns/c"), "eth0"),
        Optional.empty(),
        context);
  }
}
