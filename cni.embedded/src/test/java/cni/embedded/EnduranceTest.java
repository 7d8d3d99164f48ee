// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;

/** Descriptors, threads and heap do not grow over a thousand attachments in one process. */
@KernelTest
@Isolated("it counts the descriptors, threads and memory of the process")
class EnduranceTest {
  private static final int CYCLES = 1000;
  private static final int WARM_UP = 100;
  private static final long HEAP_SLACK = 2 * 1024 * 1024;

  @Test
  void descriptorsThreadsAndMemoryStayFlat() throws Exception {
    try (TestHost host = new TestHost();
        Cni cni = host.openCni()) {
      host.dualStack("n", "");
      NetNs a = host.container("a");
      Network network = cni.network("n");
      cycle(network, a, WARM_UP);
      Usage before = Usage.now();
      cycle(network, a, CYCLES);
      Usage after = Usage.now();
      assertTrue(after.descriptors() <= before.descriptors(), () -> before + " " + after);
      assertTrue(after.threads() <= before.threads() + 1, () -> before + " " + after);
      assertTrue(after.heap() <= before.heap() + HEAP_SLACK, () -> before + " " + after);
      host.assertNothingLeft("n", a);
    }
  }

  /** Counts threads without those that wait for deleted links to be freed, which vary with load. */
  private static int countThreads() {
    return (int)
        Thread.getAllStackTraces().keySet().stream()
            .filter(it -> !it.getName().startsWith("cni-link-deletion-"))
            .count();
  }

  private static void cycle(Network network, NetNs container, int times) throws Exception {
    for (int i = 0; i < times; i++) {
      network.add(attachment(container));
      network.delete(attachment(container));
    }
  }

  /** The resources that the process holds. */
  private record Usage(long descriptors, int threads, long heap) {
    static Usage now() throws IOException, InterruptedException {
      for (int i = 0; i < 3; i++) {
        System.gc();
        Thread.sleep(50);
      }
      try (Stream<Path> descriptors = Files.list(Path.of("/proc/self/fd"))) {
        return new Usage(
            descriptors.count(),
            countThreads(),
            ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed());
      }
    }
  }
}
