// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Json;
import cni.embedded.KilledRuntime.KillPoint;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.Campaign;
import cni.testing.HostSnapshot;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/**
 * A runtime that is killed at any system call of an update or a repair leaves what the next update,
 * repair, DEL or GC of another process finishes: the attachment is exactly as before or as after
 * the update, or nothing of it is left. The length is that of {@link KillCampaignTest}.
 */
@KernelTest(commands = {"strace", "ip", "bridge", "tc", "nft"})
class UpdateKillTest {
  private static final Duration USUAL = Duration.ofSeconds(20);

  /** A file of tuning that was not yet renamed at the kill; GC deletes it. */
  private static final Pattern TEMPORARY = Pattern.compile("data/\\.[0-9a-f]{16}: ");

  private final TestHost host;
  private final NetNs container;
  private final Attachment attachment;
  private final Cni cni;
  private final Network network;
  private final Set<String> nothing;

  /** The operations that change the attachment, and change it back. */
  private String change = "UPDATE";

  private String revert = "REVERT";

  /** The two states of the present attachment. */
  private HostSnapshot original;

  private HostSnapshot updated;

  UpdateKillTest(TestHost host) throws Exception {
    this.host = host;
    container = host.container("a");
    attachment =
        attachment(container)
            .withCapabilityArgs(
                Map.of(
                    "portMappings", json(RuntimeProcess.PORT_MAPPINGS),
                    "ips", json(RuntimeProcess.ADDRESSES)));
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted(
            "\"ipMasq\": true, \"ipMasqBackend\": \"nftables\", \"mtu\": 1450,"
                + "\"capabilities\": { \"ips\": true },"),
        """
        { "type": "portmap", "backend": "nftables", "snat": true,
          "capabilities": { "portMappings": true } },
        { "type": "bandwidth", "ingressRate": 800000000, "ingressBurst": 80000000,
          "egressRate": 800000000, "egressBurst": 80000000 },
        { "type": "tuning", "dataDir": "@DATA@", "sysctl": { "net.core.somaxconn": "500" } }
        """);
    cni = host.openCni();
    network = cni.network("n");
    network.add(attachment); // creates what stays: the bridge, tables, directories
    run("CHANGE_CHAIN");
    network.delete(attachment);
    nothing = HostState.of(host, container);
    attach();
    original = state();
    updated = original;
  }

  @AfterEach
  void close() {
    cni.close();
  }

  private static JsonNode json(String text) throws CniException {
    return Json.parse("{\"of\":" + text + "}", "test").path("of");
  }

  private void run(String verb) throws CniException {
    RuntimeProcess.run(verb, cni, attachment);
  }

  private void attach() throws Exception {
    network.add(attachment);
    host.awaitAddresses();
  }

  /** Attaches the container anew if it is detached, and learns its two states. */
  private void learnStates() throws Exception {
    if (network.cachedAttachment(attachment.id()).isEmpty()) {
      attach();
    }
    run(change);
    updated = state();
    run(revert);
    original = state();
    assertTrue(!updated.equals(original));
  }

  private HostSnapshot state() throws IOException, CniException {
    List<String> files = new ArrayList<>(HostSnapshot.of(host.directory()).lines());
    files.removeIf(
        line ->
            line.contains("/unfinished/")
                || line.contains("last_reserved_ip")
                || TEMPORARY.matcher(line).lookingAt()
                || HostState.RECYCLED.matcher(line).find());
    files.replaceAll(UpdateKillTest::sortSavedSettings);
    List<String> lines = new ArrayList<>(HostSnapshot.of(host.netns(), container).lines());
    lines.removeIf(line -> line.matches(".*: index [0-9]+")); // of actions of tc
    lines.addAll(files);
    return new HostSnapshot(lines).withoutRandomNames(); // an ifb may have been created again
  }

  /** Sorts the keys of tuning's file, whose order depends on what was saved first. */
  private static String sortSavedSettings(String file) {
    return file.contains("_eth0.json: ")
        ? file.lines().map(line -> line.replace(",", "").strip()).sorted().toList().toString()
        : file;
  }

  /** What another process does after the kill. */
  private enum Successor {
    REPAIR,
    UPDATE,
    REVERT,
    DEL,
    GC
  }

  @Test
  void anInterruptedUpdateIsFinishedByTheNextOperation() throws Exception {
    learnStates();
    campaign(new KilledRuntime(host, container, change, revert), Successor.values());
  }

  @Test
  void anInterruptedChangeOfTheChainIsFinishedByTheNextOperation() throws Exception {
    change = "CHANGE_CHAIN";
    revert = "REVERT_CHAIN";
    learnStates();
    campaign(new KilledRuntime(host, container, change, revert), Successor.values());
  }

  @Test
  void anInterruptedRepairIsFinishedByTheNextOperation() throws Exception {
    damage(); // what a plugin that is no longer in the chain has left is not restored
    network.repair(attachment.id());
    learnStates();
    updated = original;
    damage();
    campaign(new KilledRuntime(host, container, "REPAIR"), Successor.REPAIR);
  }

  private void damage() throws IOException {
    TestBed.run(host.netns(), "nft", "flush", "ruleset");
    TestBed.run(host.netns(), "ip", "address", "flush", "dev", "br0");
    TestBed.run(container, "ip", "route", "del", "default");
  }

  private void campaign(KilledRuntime runtime, Successor... successors) throws Exception {
    boolean repairs = runtime.verbs().contains("REPAIR");
    List<KillPoint> points = runtime.learn();
    Campaign campaign = Campaign.start("kills of " + runtime.verbs(), USUAL);
    Collections.shuffle(points, campaign.random());
    List<String> faults = new ArrayList<>();
    int kills = 0;
    int effective = 0;
    for (KillPoint point : points) {
      if (effective > 0 && !campaign.goesOn()) {
        break;
      }
      if (repairs) {
        damage();
      }
      Set<String> before = HostState.of(host, container);
      boolean killed = runtime.killAt(point);
      kills += killed ? 1 : 0;
      effective += killed && !HostState.of(host, container).equals(before) ? 1 : 0;
      Successor successor = successors[campaign.random().nextInt(successors.length)];
      String fault = fault(successor);
      if (!fault.isEmpty()) {
        faults.add("killed at %s, then %s: %s".formatted(point, successor, fault));
      }
      if (successor == Successor.DEL || successor == Successor.GC || !fault.isEmpty()) {
        network.delete(attachment);
        learnStates();
        updated = repairs ? original : updated;
      }
    }
    System.out.printf("%d kills, %d of them with an effect%n", kills, effective);
    assertTrue(effective > 0, "none of " + kills + " kills left anything");
    assertEquals(List.of(), faults, faults.size() + " faults after " + kills + " kills");
  }

  /** Runs an operation after a kill, and returns how its outcome differs from the expected one. */
  private String fault(Successor successor) throws Exception {
    return switch (successor) {
      case REPAIR -> {
        network.repair(attachment.id());
        HostSnapshot state = state();
        HostSnapshot expected =
            state.diff(updated).length() < state.diff(original).length() ? updated : original;
        String fault = faultOfAttachment(expected);
        run(revert);
        yield fault;
      }
      case UPDATE -> {
        run(change);
        String fault = faultOfAttachment(updated);
        run(revert);
        yield fault;
      }
      case REVERT -> {
        run(revert);
        yield faultOfAttachment(original);
      }
      case DEL -> {
        network.delete(attachment);
        network.gc(Set.of()); // of temporary files
        yield HostState.difference(nothing, HostState.of(host, container));
      }
      case GC -> {
        network.gc(Set.of());
        yield HostState.difference(nothing, HostState.of(host, container));
      }
    };
  }

  private String faultOfAttachment(HostSnapshot expected) throws Exception {
    String difference = expected.diff(state());
    if (!difference.isEmpty()) {
      return difference;
    }
    try {
      network.check(attachment(container)); // the stored arguments
      return network.planRepair(attachment.id()).steps().toString().replace("[]", "");
    } catch (CniException e) {
      return "CHECK: " + e.getMessage();
    }
  }
}
