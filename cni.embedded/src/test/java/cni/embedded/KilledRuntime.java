// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.testing.TestHost;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Runs a {@link RuntimeProcess} that is killed at one of its system calls. strace(1) kills it.
 *
 * @param host the host of the attachment
 * @param container the container
 * @param verbs the operations of the process
 */
record KilledRuntime(TestHost host, NetNs container, List<String> verbs) {
  /** The calls by which a runtime changes or reads the state of the host. */
  private static final String CALLS =
      "sendto,recvfrom,socket,bind,setns,flock,openat,write,pwrite64,ftruncate,rename,link,unlink,"
          + "mkdir,chmod,fchmod";

  private static final Pattern CALL = Pattern.compile("(\\d+) +(\\w+)\\(.*");

  /**
   * A system call of the runtime.
   *
   * @param name its name
   * @param ordinal how many calls of that name its thread has made until then
   */
  record KillPoint(String name, int ordinal) {}

  KilledRuntime(TestHost host, NetNs container, String... verbs) {
    this(host, container, List.of(verbs));
  }

  /** Runs the operations to their end, and returns the calls of the threads that do them. */
  List<KillPoint> learn() throws Exception {
    Path trace = host.directory().resolve("trace");
    List<String> options =
        List.of("--seccomp-bpf", "-e", "trace=access,faccessat2," + CALLS, "-o", "" + trace);
    assertEquals(0, trace(options));
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

  /**
   * Runs the operations until a call, and returns whether the process was killed there. Without
   * {@code --seccomp-bpf}, by which strace injects no signals.
   */
  boolean killAt(KillPoint point) throws Exception {
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
    List<String> command = new ArrayList<>(List.of("strace", "-f", "-qq"));
    command.addAll(options);
    command.addAll(RuntimeProcess.command(host, container, verbs.toArray(String[]::new)));
    Process process = new ProcessBuilder(command).inheritIO().start();
    assertTrue(process.waitFor(5, TimeUnit.MINUTES));
    return process.exitValue();
  }
}
