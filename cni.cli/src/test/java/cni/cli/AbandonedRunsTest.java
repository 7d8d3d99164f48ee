// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.netlink.ffm.netns.NamespaceOwnership;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;

@KernelTest
@Isolated("captures the standard streams of the process")
class AbandonedRunsTest {
  private final String id = "cni-killed-%08x".formatted(ThreadLocalRandom.current().nextInt());
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();
  private final PrintStream originalErr = System.err;
  private TestHost host;

  @BeforeEach
  void createHost() throws IOException {
    host = new TestHost();
    System.setErr(new PrintStream(err, true, UTF_8));
  }

  @AfterEach
  void closeHost() throws IOException {
    System.setErr(originalErr);
    host.close();
    NetNs.delete(id);
  }

  @Test
  void fileThatWasNeverMountedIsRemoved() throws Exception {
    Files.createFile(NetNs.pathOf(id));
    remove();
    assertFalse(Files.exists(NetNs.pathOf(id)));
    assertEquals("", err.toString(UTF_8));
  }

  @Test
  void namespaceIsKeptUntilItsAttachmentIsDeleted() throws Exception {
    Path broken = host.directory().resolve("broken");
    host.script(
        "fragile",
        "echo '{ \"cniVersion\": \"1.0.0\" }'; [ $CNI_COMMAND = ADD ] || [ ! -e %s ]"
            .formatted(broken));
    host.network("n", "1.0.0", "{ \"type\": \"fragile\" }");
    NetNs netns = NamespaceOwnership.create(id);
    try (Cni cni = host.openCni()) {
      cni.network("n").add(Attachment.of(id, netns.path(), "eth0"));
    }
    netns.close(); // as the kernel does when a process dies

    Files.createFile(broken);
    remove();
    assertTrue(Files.exists(NetNs.pathOf(id)));
    assertTrue(err.toString(UTF_8).contains(id), err::toString);
    assertTrue(err.toString(UTF_8).contains("the namespace is kept"), err::toString);
    assertEquals(List.of("n-" + id + "-eth0"), host.results());

    Files.delete(broken);
    removeNetworks();
    remove();
    assertFalse(Files.exists(NetNs.pathOf(id)));
    assertEquals(List.of(), host.results());
  }

  @Test
  void namespaceWithAttachmentInAnotherCacheIsKept() throws Exception {
    try (NetNs netns = NamespaceOwnership.create(id)) {
      TestBed.connect(netns, "eth0", host.netns(), "veth0");
    }
    remove();
    assertTrue(Files.exists(NetNs.pathOf(id)));
    assertTrue(
        err.toString(UTF_8).contains("eth0 is attached, but not in this cache"), err::toString);
  }

  private void remove() throws Exception {
    try (Cni cni = host.openCni()) {
      AbandonedRuns.remove(id, cni);
    }
  }

  private void removeNetworks() throws IOException {
    try (var files = Files.list(host.networks())) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
  }
}
