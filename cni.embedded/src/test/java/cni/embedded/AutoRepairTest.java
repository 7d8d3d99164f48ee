// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.PluginEvent;
import cni.api.PluginEvent.Kind;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.NetNsSnapshot;
import cni.testing.ReferencePlugins;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Attachments are repaired by themselves, but not against a DEL, and not without end. */
@KernelTest(commands = "nft", reference = true)
class AutoRepairTest {
  private static final String PORTS =
      "[{ \"hostPort\": 8080, \"containerPort\": 80, \"protocol\": \"tcp\" }]";

  private static final String PORTMAP =
      """
      { "type": "portmap", "backend": "nftables", "snat": true,
        "capabilities": { "portMappings": true } }
      """;

  /** A plugin whose DEL waits for a file, but not longer than a number of tenths of a second. */
  @SuppressWarnings("InlineFormatString") // a script is easier to read apart
  private static final String SLOW =
      """
      i=0
      case $CNI_COMMAND in
        ADD) sed 's/.*"prevResult"://; s/.$//' ;;
        DEL) while [ ! -e %s -a $i -lt %d ]; do sleep 0.1; i=$((i + 1)); done ;;
      esac
      """;

  private static final String FIGHT = "something keeps removing it";

  private static final Duration LIMIT = Duration.ofMinutes(4);

  private final List<PluginEvent> events = new CopyOnWriteArrayList<>();
  private final TestHost host;
  private final NetNs a;
  private final Attachment attachment;

  AutoRepairTest(TestHost host) throws IOException, CniException {
    this.host = host;
    a = host.container("a");
    attachment = attachment(a, "portMappings", PORTS);
    host.network("n", "1.0.0", TestHost.DUAL_STACK.formatted(""), PORTMAP);
  }

  private Cni openRepairing() {
    Cni cni = host.builder().repair().build();
    cni.onEvent(
        event -> {
          if (event.kind() == Kind.REPAIRED || event.kind() == Kind.REPAIR_FAILED) {
            events.add(event);
          }
        });
    return cni;
  }

  private void flush() throws IOException {
    TestBed.run(host.netns(), "nft", "flush", "ruleset");
  }

  private static void await(String what, Duration limit, Callable<Boolean> condition)
      throws Exception {
    long end = System.nanoTime() + limit.toNanos();
    while (!condition.call()) {
      assertTrue(System.nanoTime() - end < 0, "not in " + limit + ": " + what);
      Thread.sleep(50);
    }
  }

  @Test
  void repairsThatSomethingKeepsUndoingBecomeRareAndAreReported() throws Exception {
    try (Cni cni = openRepairing()) {
      Network network = cni.network("n");
      network.add(attachment);
      await(
          "reported",
          LIMIT,
          () -> {
            flush();
            return !events.isEmpty() && events.getLast().message().contains(FIGHT);
          });
      int repairs = events.size();
      assertTrue(repairs >= 3, events::toString);
      await(
          "repaired again",
          LIMIT,
          () -> {
            flush();
            return events.size() > repairs;
          });
      var pause = Duration.between(events.get(repairs - 1).time(), events.get(repairs).time());
      assertTrue(pause.toSeconds() >= 3, pause + " instead of 4 s");
      await(
          "repaired by itself once nothing removes it",
          LIMIT,
          () -> network.planRepair(attachment.id()).steps().isEmpty());
      assertTrue(events.size() <= repairs + 3, events::toString);
      network.delete(attachment);
    }
    host.assertNothingLeft("n", a);
  }

  /** As another runtime does: without the locks of this library if it has another cache. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aSlowDeletionByGoPluginsLeavesNothing(boolean locks) throws Exception {
    Path repaired = host.directory().resolve("repaired");
    int tenths = locks ? 30 : 3000;
    host.script("slow", SLOW.formatted(repaired, tenths));
    host.network(
        "n",
        "1.0.0",
        TestHost.DUAL_STACK.formatted(""),
        "{ \"type\": \"slow\" }",
        PORTMAP.replace("nftables", "iptables"));
    Path cache = locks ? host.cache() : host.directory().resolve("cache-of-go");
    try (Cni go =
        host.builder()
            .cache(cache)
            .timeout(Duration.ofMinutes(10))
            .executables(ReferencePlugins.directory(), host.executables())
            .forceExecutables("bridge", "host-local", "portmap")
            .build()) {
      Network network = go.network("n");
      Files.createDirectory(repaired); // nothing repairs yet
      network.add(attachment);
      network.delete(attachment); // creates what stays: the bridge and tables
      Files.delete(repaired);
      Set<String> nothing = hostState();
      network.add(attachment);
      List<Path> results = copyResults(cache);
      try (Cni repairing = openRepairing()) {
        repairing.onEvent(
            event -> {
              if (event.kind() == Kind.REPAIRED) {
                repaired.toFile().mkdir();
              }
            });
        Thread.sleep(1000);
        assertEquals(List.of(), List.copyOf(events));
        network.delete(attachment);
        for (Path result : results) {
          Files.deleteIfExists(result);
        }
        assertEquals(locks, events.isEmpty(), events::toString);
        await("nothing left", LIMIT, () -> hostState().equals(nothing));
        host.assertNothingLeft("n", a);
      }
    }
  }

  /** Returns the links, addresses, routes, chains and mapped ports of the host. */
  private Set<String> hostState() throws IOException {
    Set<String> lines = new TreeSet<>(NetNsSnapshot.of(host.netns()).lines());
    TestBed.run(host.netns(), "nft", "list", "ruleset")
        .lines()
        .filter(line -> line.contains("dport 8080") || line.contains(attachment.containerId()))
        .forEach(lines::add);
    return lines;
  }

  /** Copies results to the cache that is repaired from, and returns the files there. */
  private List<Path> copyResults(Path cache) throws IOException {
    if (cache.equals(host.cache())) {
      return List.of();
    }
    Path results = Files.createDirectories(host.cache().resolve("results"));
    String name = "n-" + attachment.containerId() + "-eth0";
    Files.copy(cache.resolve("results").resolve(name), results.resolve(name));
    return List.of(results.resolve(name));
  }

  @Test
  void anAttachmentWithoutItsInterfaceIsLeftAlone() throws Exception {
    NetNs b = host.container("b");
    try (Cni cni = openRepairing()) {
      cni.network("n").add(attachment);
      cni.network("n").add(attachment(b, "portMappings", PORTS.replace("8080", "8081")));
      TestBed.run(a, "ip", "link", "delete", "eth0");
      flush();
      await("the other is repaired", LIMIT, () -> !events.isEmpty());
      Thread.sleep(1500);
      assertEquals(
          Set.of(attachment(b).id()),
          Set.copyOf(events.stream().map(it -> it.attachment().orElseThrow()).toList()));
      String rules = TestBed.run(host.netns(), "nft", "list", "ruleset");
      assertTrue(rules.contains("dport 8081") && !rules.contains("dport 8080"), rules);
    }
  }
}
