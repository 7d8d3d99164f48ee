// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.meta.bandwidth.BandwidthPlugin;
import cni.plugins.meta.firewall.FirewallPlugin;
import cni.plugins.meta.portmap.PortMapPlugin;
import cni.plugins.meta.sbr.SbrPlugin;
import cni.plugins.meta.tuning.TuningPlugin;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.NftRuleset;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Chained plugins after loopback and bridge: the interface lo and its addresses in the previous
 * result change nothing.
 */
@KernelTest(commands = {"nft", "tc"})
class LoopbackResultTest {
  private static final String PORTS =
      """
      "runtimeConfig": { "portMappings": [ { "hostPort": 8080, "containerPort": 80 } ] }
      """;

  @ParameterizedTest
  @CsvSource({
    "4,nftables,nftables",
    "4,iptables,iptables",
    "6,nftables,nftables",
    "6,iptables,iptables",
    "4,,nftables",
  })
  void stateIsThatOfTheChainWithoutLoopback(String family, String firewall, String portmap)
      throws Exception {
    try (var host = new TestHost();
        Cni cni = host.openCni()) {
      NetNs a = host.container("a");
      String subnet = family.equals("4") ? "10.50.0.0/24" : "fd50::/64";
      host.network(
          "n",
          "1.1.0",
          """
          { "type": "bridge", "bridge": "br0", "isGateway": true,
            "ipam": { "type": "host-local", "dataDir": "@DATA@", "subnet": "%s" } }
          """
              .formatted(subnet));
      Result result = cni.network("n").add(attachment(a));
      TestBed.run(
          host.netns(),
          "nft",
          "add table inet guard; add chain inet guard c"
              + " { type filter hook forward priority 0; policy drop; }");
      List<Call> calls =
          List.of(
              new Call(
                  new FirewallPlugin(),
                  "\"ingressPolicy\": \"same-bridge\""
                      + (firewall == null ? "" : ", \"backend\": \"" + firewall + "\"")),
              new Call(new PortMapPlugin(), "\"backend\": \"" + portmap + "\"," + PORTS),
              new Call(new BandwidthPlugin(), "\"ingressRate\": 80000, \"ingressBurst\": 80000"),
              new Call(
                  new TuningPlugin(), "\"sysctl\": { \"net.ipv4.conf.eth0.arp_filter\": \"1\" }"),
              new Call(new SbrPlugin(), "\"table\": 100"));
      String without = runAll(calls, host, a, result);
      assertEquals(without, runAll(calls, host, a, behindLoopback(result, a)));
    }
  }

  /** Calls every verb; returns the state between ADD and DEL. */
  private static String runAll(List<Call> calls, TestHost host, NetNs a, Result previous)
      throws Exception {
    Attachment attachment = attachment(a);
    for (Call call : calls) {
      assertEquals(previous, call.plugin().add(call.request(host, attachment, previous)));
    }
    String state =
        NftRuleset.list(host.netns())
            + TestBed.run(host.netns(), "tc", "qdisc", "show")
            + TestBed.run(a, "ip", "rule", "show")
            + TestBed.run(a, "ip", "-6", "rule", "show");
    for (Call call : calls) {
      call.plugin().check(call.request(host, attachment, previous));
    }
    for (Call call : calls) {
      call.plugin().delete(call.request(host, attachment, previous));
    }
    String rest = NftRuleset.list(host.netns());
    assertFalse(rest.contains("10.50.0.") || rest.contains("fd50::2"), rest);
    TestBed.run(host.netns(), "nft", "flush ruleset");
    TestBed.run(
        host.netns(),
        "nft",
        "add table inet guard; add chain inet guard c"
            + " { type filter hook forward priority 0; policy drop; }");
    return state;
  }

  /** Returns the result with what the loopback plugin reports before it. */
  private static Result behindLoopback(Result result, NetNs container) {
    var lo = new Result.Interface("lo", "00:00:00:00:00:00", 0, container.path().toString());
    List<Result.Interface> interfaces = new ArrayList<>(List.of(lo));
    interfaces.addAll(result.interfaces());
    List<Result.IpConfig> ips = new ArrayList<>();
    for (String address : List.of("127.0.0.1/8", "::1/128")) {
      ips.add(new Result.IpConfig(Cidr.parse(address), Optional.empty(), OptionalInt.of(0)));
      ips.add(new Result.IpConfig(Cidr.parse(address), Optional.empty(), OptionalInt.empty()));
    }
    result.ips().forEach(ip -> ips.add(ip.withInterface(ip.interfaceIndex().orElseThrow() + 1)));
    return result.withInterfaces(interfaces).withIps(ips);
  }

  /** A plugin and the keys of its configuration. */
  private record Call(NetworkPlugin plugin, String keys) {
    AttachmentRequest request(TestHost host, Attachment attachment, Result previous)
        throws CniException {
      String json =
          "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"type\": \"%s\", %s }"
              .formatted(plugin.type(), keys);
      var context =
          new CallContext(
              Optional.of(host.netns().path()),
              Deadline.after(Duration.ofMinutes(1)),
              type -> {
                throw new IllegalStateException(type); // chained plugins delegate to none
              });
      return new AttachmentRequest(
          PluginConfig.of(
              new ConfigObject(Json.parse(json.getBytes(StandardCharsets.UTF_8), "test"), "")),
          attachment,
          Optional.of(previous),
          context);
    }
  }
}
