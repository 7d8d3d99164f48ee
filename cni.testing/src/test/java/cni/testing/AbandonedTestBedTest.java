// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.netns.NamespaceOwnership;
import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.Test;

@KernelTest
class AbandonedTestBedTest {
  @Test
  void testBedsOfKilledProcessesAreRemovedAndOthersStay() throws IOException {
    String label = "dead%08x".formatted(ThreadLocalRandom.current().nextInt());
    String prefix = "cni-" + label + "-0123abcd-";
    NamespaceOwnership.create(prefix + "host").close(); // a killed process has no lock any more
    Path directory = Files.createTempDirectory(prefix);
    Files.createFile(directory.resolve("file"));
    try (var alive = new TestBed(label)) {
      TestBed.removeAbandoned(label);
      assertFalse(Files.exists(NetNs.pathOf(prefix + "host")));
      assertFalse(Files.exists(directory));
      assertTrue(Files.exists(alive.netns().path()));
      assertTrue(Files.exists(alive.directory()));
    }
  }
}
