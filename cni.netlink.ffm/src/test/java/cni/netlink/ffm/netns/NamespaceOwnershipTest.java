// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.netns;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.testing.KernelTest;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

@KernelTest
class NamespaceOwnershipTest {
  private final String prefix = "cni-owner-%08x-".formatted(ThreadLocalRandom.current().nextInt());

  @AfterEach
  void delete() throws IOException {
    for (String name : List.of("a", "b", "c")) {
      NetNs.delete(prefix + name);
    }
  }

  @Test
  void namespaceWithoutLivingOwnerIsAbandoned() throws IOException {
    NetNs dead = NamespaceOwnership.create(prefix + "a");
    try (NetNs _ = NamespaceOwnership.create(prefix + "b")) {
      assertEquals(List.of(), NamespaceOwnership.abandoned(prefix));
      dead.close(); // as the kernel does when a process dies
      Files.createFile(NetNs.pathOf(prefix + "c")); // as by a process that dies before the mount
      assertEquals(List.of(prefix + "a", prefix + "c"), NamespaceOwnership.abandoned(prefix));
      assertEquals(List.of(), NamespaceOwnership.abandoned(prefix + "no-such-"));
    }
  }
}
