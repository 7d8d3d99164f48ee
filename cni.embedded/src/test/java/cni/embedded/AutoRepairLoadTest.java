// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;

/** What repairing by itself costs: little processor time, no delay of ADD, nothing when idle. */
@KernelTest
@Isolated("the threads of repairs of the whole process are measured")
class AutoRepairLoadTest {
  private static final int ATTACHMENTS = 300;

  /** How often a measurement that other programs can disturb is made at most. */
  private static final int ROUNDS = 8;

  private static final Duration STORM = Duration.ofSeconds(6);
  private static final String THREADS = "cni repair";

  private final TestHost host;
  private final NetNs a;

  AutoRepairLoadTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    host.network("lo", "1.0.0", "{ \"type\": \"loopback\" }");
    host.dualStack("n", "");
  }

  @Test
  void othersAreNotDelayedByManyAttachments() throws Exception {
    try (Cni cni = host.openCni()) {
      NetNs b = host.container("b");
      for (int i = 0; i < ATTACHMENTS; i++) {
        cni.network("lo").add(Attachment.of("c" + i, b.path(), "lo"));
      }
      Network network = cni.network("n");
      medianOfStorm(network); // warms up
      for (int i = 1; !isDelayedLittle(network); i++) { // other programs may delay a round
        assertTrue(i < ROUNDS, "ADD takes more than twice the time in each of " + i + " rounds");
      }
    }
  }

  /** Returns whether ADD takes less than twice the time while attachments are repaired. */
  private boolean isDelayedLittle(Network network) throws Exception {
    long without = medianOfStorm(network);
    try (Cni _ = host.builder().repair().build()) {
      Thread.sleep(1000);
      long start = System.nanoTime();
      long cpuBefore = cpuTime();
      long with = medianOfStorm(network);
      double share = (double) (cpuTime() - cpuBefore) / (System.nanoTime() - start);
      System.out.printf(
          "ADD p50 %.2f ms, %.2f ms while repairing, which takes %.1f %% of a processor%n",
          without / 1e6, with / 1e6, share * 100);
      assertTrue(cpuBefore > 0 && share > 0 && share < 0.15, "share of a processor: " + share);
      return with < 2 * without;
    }
  }

  /** Adds and deletes for a while, and returns the median time of ADD in nanoseconds. */
  private long medianOfStorm(Network network) throws CniException {
    List<Long> times = new ArrayList<>();
    long end = System.nanoTime() + STORM.toNanos() / 2;
    while (System.nanoTime() - end < 0) {
      long start = System.nanoTime();
      network.add(attachment(a));
      times.add(System.nanoTime() - start);
      network.delete(attachment(a));
    }
    return times.stream().sorted().skip(times.size() / 2).findFirst().orElseThrow();
  }

  private static long cpuTime() {
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    long sum = 0;
    for (ThreadInfo thread : threads.getThreadInfo(threads.getAllThreadIds())) {
      if (thread != null && thread.getThreadName().startsWith(THREADS)) {
        sum += Math.max(0, threads.getThreadCpuTime(thread.getThreadId()));
      }
    }
    return sum;
  }

  @Test
  void anIdleHostIsNotWokenUp() throws Exception {
    try (Cni cni = host.builder().repair().build()) {
      cni.network("n").add(attachment(a));
      host.awaitAddresses();
      Thread.sleep(2000);
      long switches = Long.MAX_VALUE; // each socket polls every 5 s
      for (int i = 0; i < ROUNDS && switches > 10; i++) { // until the kernel's work is done
        long before = contextSwitches();
        assertTrue(before > 0, "no thread is called " + THREADS);
        Thread.sleep(6000);
        switches = contextSwitches() - before;
      }
      assertTrue(switches <= 10, switches + " wake-ups in 6 s");
    }
  }

  /** Returns how often a thread of repairs has waited; 0 for another one, or one that has ended. */
  private static long contextSwitches(Path task) {
    try {
      if (!Files.readString(task.resolve("comm")).startsWith(THREADS)) {
        return 0;
      }
      return Files.readString(task.resolve("status"))
          .lines()
          .filter(line -> line.startsWith("voluntary_ctxt_switches:"))
          .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
          .sum();
    } catch (IOException e) {
      return 0;
    }
  }

  /** Returns how often threads of repairs have waited. */
  private static long contextSwitches() throws IOException {
    long sum = 0;
    try (Stream<Path> tasks = Files.list(Path.of("/proc/self/task"))) {
      for (Path task : tasks.toList()) {
        sum += contextSwitches(task);
      }
    }
    return sum;
  }
}
