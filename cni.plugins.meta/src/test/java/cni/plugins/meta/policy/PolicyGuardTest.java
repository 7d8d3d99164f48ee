// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.JavaProcess;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** A container is never reachable before its policies are in force, however its ADD ends. */
@KernelTest(commands = "nft")
class PolicyGuardTest {
  private static final String BRIDGE =
      """
      { "type": "bridge", "bridge": "br0", "isDefaultGateway": true,
        "capabilities": { "ips": true },
        "ipam": { "type": "host-local", "dataDir": "@DATA@",
                  "ranges": [[{ "subnet": "10.50.0.0/24" }], [{ "subnet": "fd50::/64" }]] } }
      """;
  private static final String V4 = "10.50.0.200";
  private static final String V6 = "fd50::200";
  private static final String DENY =
      """
      { "name": "deny", "podSelector": { "matchLabels": { "app": "victim" } },
        "policyTypes": ["Ingress"] }
      """;

  private final TestHost host;
  private final PolicyHost policies;
  private final NetNs neighbor;
  private final NetNs victim;
  private final NetNs outside;
  private final Network network;
  private final List<Process> pings = new ArrayList<>();
  private final AtomicInteger replies = new AtomicInteger();

  PolicyGuardTest(TestHost host) throws Exception {
    this.host = host;
    policies = new PolicyHost(host);
    policies.network("n", BRIDGE);
    outside = host.outside();
    TestBed.run(outside, "ip", "route", "add", "10.50.0.0/24", "via", TestHost.HOST_V4);
    TestBed.run(outside, "ip", "-6", "route", "add", "fd50::/64", "via", TestHost.HOST_V6);
    neighbor = host.container("neighbor");
    victim = host.container("victim");
    network = policies.cni().network("n");
    network.add(PolicyHost.labelled(neighbor, "app=neighbor"));
    host.awaitAddresses();
  }

  @AfterEach
  void close() {
    pings.forEach(Process::destroyForcibly);
    policies.close();
  }

  private static Attachment attachment(NetNs victim) throws Exception {
    Attachment labelled = PolicyHost.labelled(victim, "app=victim");
    Map<String, JsonNode> capabilities = new HashMap<>(labelled.capabilityArgs());
    String ips = "{ \"of\": [\"%s/24\", \"%s/64\"] }".formatted(V4, V6);
    capabilities.put("ips", Json.parse(ips, "ips").get("of"));
    return labelled.withCapabilityArgs(capabilities);
  }

  /** Pings the victim all the time, and counts the replies. */
  private void startPings() throws IOException {
    for (NetNs from : List.of(neighbor, outside)) {
      for (String address : List.of(V4, V6)) {
        Process ping =
            new ProcessBuilder(
                    "ip",
                    "netns",
                    "exec",
                    TestBed.nameOf(from),
                    "ping",
                    "-n",
                    "-i",
                    "0.01",
                    address)
                .redirectErrorStream(true)
                .start();
        pings.add(ping);
        Thread.ofPlatform().daemon().start(() -> count(ping));
      }
    }
  }

  private void count(Process ping) {
    try (BufferedReader lines = ping.inputReader()) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (line.contains("bytes from")) {
          replies.incrementAndGet();
        }
      }
    } catch (IOException e) {
      Thread.onSpinWait(); // closed
    }
  }

  /** Requires that the pings would have noticed: they get replies once policies allow it. */
  private void requireRepliesWithoutPolicies() throws Exception {
    policies.delete("deny.json");
    network.add(attachment(victim));
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (replies.get() == 0 && System.nanoTime() < end) {
      Thread.sleep(20);
    }
    assertTrue(replies.get() > 0, "the pings never reach the container");
    for (NetNs from : List.of(neighbor, outside)) {
      assertTrue(Probe.ping(from, V4) && Probe.ping(from, V6));
    }
    network.delete(attachment(victim));
  }

  @Test
  void noPacketPassesWhileAContainerComesAndGoes() throws Exception {
    policies.apply("deny.json", DENY);
    startPings();
    for (int i = 0; i < 30; i++) {
      network.add(attachment(victim));
      assertEquals(0, replies.get(), "replies after ADD " + i);
      network.delete(attachment(victim));
      assertEquals(0, replies.get(), "replies after DEL " + i);
    }
    requireRepliesWithoutPolicies();
  }

  @Test
  void aKilledAddLeavesNothingReachable() throws Exception {
    policies.apply("deny.json", DENY);
    network.add(attachment(victim));
    network.delete(attachment(victim));
    List<String> nothing = state();
    startPings();
    var random = new Random();
    int effective = 0;
    for (int i = 0; i < 8; i++) {
      killAdd(random.nextInt(400));
      effective += state().equals(nothing) ? 0 : 1;
      Thread.sleep(100); // whatever is left is pinged
      network.delete(attachment(victim));
      network.gc(Set.of(TestHost.attachment(neighbor).id()));
      assertEquals(nothing, state(), "after kill " + i);
      assertEquals(0, replies.get(), "replies after kill " + i);
    }
    System.out.println(effective + " of 8 kills left something");
    requireRepliesWithoutPolicies();
  }

  private void killAdd(int millis) throws Exception {
    Process process =
        new ProcessBuilder(
                JavaProcess.command(
                    PolicyGuardTest.class,
                    host.networks().toString(),
                    host.executables().toString(),
                    host.cache().toString(),
                    host.netns().path().toString(),
                    victim.path().toString()))
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (BufferedReader lines = process.inputReader()) {
      assertEquals("begin", lines.readLine());
      Thread.sleep(millis);
      process.destroyForcibly();
      assertTrue(process.waitFor(1, TimeUnit.MINUTES));
    }
  }

  /** Returns what of the container can be found on the host. */
  private List<String> state() throws IOException {
    List<String> lines = new ArrayList<>(TestBed.linkNames(host.netns(), "veth"));
    lines.addAll(TestBed.linkNames(victim, "veth"));
    lines.addAll(host.reservations("n"));
    try (Stream<Path> files = Files.list(policies.directories().data().resolve("endpoints"))) {
      files.map(it -> it.getFileName().toString()).sorted().forEach(lines::add);
    }
    TestBed.run(host.netns(), "nft", "list", "ruleset")
        .lines()
        .map(it -> it.replaceAll("counter packets \\d+ bytes \\d+", "counter"))
        .forEach(lines::add);
    return lines;
  }

  /** Makes the attachment, in a process that is killed. */
  public static void main(String[] args) throws Exception {
    try (NetNs netns = NetNs.open(Path.of(args[4]));
        Cni cni =
            Cni.builder()
                .networks(Path.of(args[0]))
                .executables(Path.of(args[1]))
                .cache(Path.of(args[2]))
                .hostNamespace(Path.of(args[3]))
                .build()) {
      Attachment attachment = attachment(netns);
      Network network = cni.network("n");
      System.out.println("begin");
      network.add(attachment);
      assertFalse(network.cachedResult(attachment.id()).isEmpty());
      Thread.sleep(TimeUnit.MINUTES.toMillis(1));
    }
  }
}
