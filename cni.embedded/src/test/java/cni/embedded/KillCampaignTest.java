package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.Campaign;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/**
 * A runtime that is killed at any system call of an ADD or a DEL leaves nothing that DEL and GC of
 * another process do not remove. strace(1) kills it. With {@code cni.test.campaign.seconds} every
 * call is tried for that time, otherwise a random selection for 20 s.
 */
@KernelTest(commands = "strace")
class KillCampaignTest {
  private static final Duration USUAL = Duration.ofSeconds(20);

  /** The calls by which a runtime changes or reads the state of the host. */
  private static final String CALLS =
      "sendto,recvfrom,socket,bind,setns,flock,openat,write,pwrite64,ftruncate,rename,link,unlink,"
          + "mkdir,chmod,fchmod";

  private static final Pattern CALL = Pattern.compile("(\\d+) +(\\w+)\\(.*");

  private final TestHost host;
  private final NetNs container;

  KillCampaignTest(TestHost host) throws IOException {
    this.host = host;
    container = host.container("a");
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted("\"ipMasq\": true, \"ipMasqBackend\": \"nftables\","),
        "{ \"type\": \"portmap\", \"backend\": \"nftables\", \"snat\": true,"
            + " \"capabilities\": { \"portMappings\": true } }");
  }

  /**
   * A system call of the runtime.
   *
   * @param name its name
   * @param ordinal how many calls of that name its thread has made until then
   */
  private record KillPoint(String name, int ordinal) {}

  @Test
  void whatAKilledRuntimeLeavesIsRemovedByDelAndGc() throws Exception {
    List<KillPoint> points = learn();
    Campaign campaign = Campaign.start("kills", USUAL);
    Collections.shuffle(points, campaign.random());
    List<String> faults = new ArrayList<>();
    int kills = 0;
    int effective = 0;
    try (Cni cni = host.openCni()) {
      Network network = cni.network("n");
      Set<String> nothing = HostState.of(host, container);
      for (KillPoint point : points) {
        if (!campaign.goesOn()) {
          break;
        }
        kills += killAt(point) ? 1 : 0;
        effective += HostState.of(host, container).equals(nothing) ? 0 : 1;
        network.delete(attachment(container));
        network.gc(Set.of());
        String difference = HostState.difference(nothing, HostState.of(host, container));
        if (!difference.isEmpty()) {
          faults.add("killed at " + point + ": " + difference);
          nothing = HostState.of(host, container);
        }
      }
    }
    assertTrue(effective > 0, "none of " + kills + " kills left anything");
    assertEquals(List.of(), faults, faults.size() + " faults after " + kills + " kills");
  }

  /** Runs an ADD and a DEL to their end, and returns the calls of the threads that do them. */
  private List<KillPoint> learn() throws Exception {
    Path trace = host.directory().resolve("trace");
    assertEquals(0, trace(List.of("-e", "trace=access,faccessat2," + CALLS, "-o", "" + trace)));
    List<KillPoint> points = new ArrayList<>();
    Map<String, Map<String, Integer>> counts = new HashMap<>();
    boolean started = false;
    for (String line : Files.readAllLines(trace)) {
      started |= line.contains(RuntimeProcess.MARKER);
      Matcher call = CALL.matcher(line);
      if (call.matches() && !call.group(2).contains("access")) {
        String name = call.group(2);
        Map<String, Integer> ofThread = counts.computeIfAbsent(call.group(1), _ -> new HashMap<>());
        int ordinal = ofThread.merge(name, 1, Integer::sum);
        var point = new KillPoint(name, ordinal);
        if (started && !points.contains(point)) {
          points.add(point);
        }
      }
    }
    Files.delete(trace);
    assertTrue(points.size() > 50, points::toString);
    return points;
  }

  /** Runs an ADD and a DEL until a call, and returns whether it was killed there. */
  private boolean killAt(KillPoint point) throws Exception {
    int status =
        trace(
            List.of(
                "-e",
                "inject=%s:signal=KILL:when=%d".formatted(point.name(), point.ordinal()),
                "-o",
                "/dev/null"));
    assertTrue(status == 0 || status == 128 + 9, point + ": status " + status);
    return status != 0;
  }

  private int trace(List<String> options) throws Exception {
    List<String> command = new ArrayList<>(List.of("strace", "-f", "--seccomp-bpf", "-qq"));
    command.addAll(options);
    command.addAll(RuntimeProcess.command(host, container, "ADD", "DEL"));
    Process process = new ProcessBuilder(command).inheritIO().start();
    assertTrue(process.waitFor(2, TimeUnit.MINUTES));
    return process.exitValue();
  }
}
