// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.netns;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

@KernelTest
class NetNsTest {
  @Test
  void ipCommandListsACreatedNamespaceUntilItIsDeleted() throws IOException {
    try (TestBed bed = new TestBed();
        NetNs own = NetNs.current()) {
      String name = bed.prefix() + "named";
      try (NetNs created = NetNs.create(name)) {
        assertTrue(TestBed.run(own, "ip", "netns", "list").contains(name));
        TestBed.run(own, "ip", "netns", "exec", name, "ip", "link", "show", "lo");
        assertThrows(FileAlreadyExistsException.class, () -> NetNs.create(name));
        assertNotEquals(own.identity(), created.identity());
        try (NetNs again = NetNs.open(NetNs.pathOf(name))) {
          assertEquals(created.identity(), again.identity());
        }
      } finally {
        NetNs.delete(name);
      }
      assertFalse(TestBed.run(own, "ip", "netns", "list").contains(name));
      assertFalse(Files.exists(NetNs.pathOf(name)));
      NetNs.delete(name); // deleting a missing name succeeds
    }
  }

  @Test
  void namespaceWithoutANameIsAnother() throws IOException {
    try (NetNs unnamed = NetNs.createUnnamed();
        NetNs again = NetNs.open(unnamed.path())) {
      assertEquals(unnamed.identity(), again.identity());
      assertNotEquals(NetNs.ownIdentity(), unnamed.identity());
    }
  }

  @Test
  void opensANamespaceThatTheIpCommandCreated() throws IOException {
    try (TestBed bed = new TestBed();
        NetNs own = NetNs.current()) {
      String name = bed.prefix() + "ip";
      TestBed.run(own, "ip", "netns", "add", name);
      try (NetNs opened = NetNs.open(NetNs.pathOf(name))) {
        assertNotEquals(own.identity(), opened.identity());
      } finally {
        NetNs.delete(name);
      }
      assertFalse(TestBed.run(own, "ip", "netns", "list").contains(name));
    }
  }

  @Test
  void callRunsInsideAndLeavesTheCallingThreadInItsNamespace() throws IOException {
    try (TestBed bed = new TestBed()) {
      Path self = Path.of("/proc/thread-self/ns/net");
      String before = Files.readSymbolicLink(self).toString();
      String inside =
          bed.netns().<String, IOException>call(() -> Files.readSymbolicLink(self).toString());
      assertNotEquals(before, inside);
      assertEquals(before, Files.readSymbolicLink(self).toString());
      IOException thrown =
          assertThrows(
              IOException.class,
              () ->
                  bed.netns()
                      .<Void, IOException>call(
                          () -> {
                            throw new IOException("from inside");
                          }));
      assertEquals("from inside", thrown.getMessage());
    }
  }

  @Test
  void everyThreadReturnsToTheOriginalNamespaceOrEnds() throws Exception {
    try (TestBed bed = new TestBed()) {
      for (int i = 0; i < 20; i++) {
        bed.netns().<Integer, IOException>call(() -> 1);
        bed.netns().<Integer, IOException>callWithPrivateSysfs(() -> 1);
      }
      // A thread stays in /proc for a moment after it has ended.
      for (int i = 0; i < 100 && !threadsInOtherNamespaces().isEmpty(); i++) {
        Thread.sleep(20);
      }
      assertEquals(List.of(), threadsInOtherNamespaces());
    }
  }

  @Test
  void carriersOfWaitingVirtualThreadsNeverEnterANamespace() throws Exception {
    try (TestBed bed = new TestBed();
        var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Integer>> calls = new ArrayList<>();
      for (int i = 0; i < 200; i++) {
        calls.add(
            threads.submit(() -> bed.netns().<Integer, IOException>callWithPrivateSysfs(() -> 1)));
        calls.add(threads.submit(() -> bed.netns().<Integer, IOException>call(() -> 1)));
      }
      for (Future<Integer> call : calls) {
        call.get();
      }
      for (int i = 0; i < 100 && !threadsInOtherNamespaces().isEmpty(); i++) {
        Thread.sleep(20);
      }
      assertEquals(List.of(), threadsInOtherNamespaces());
    }
  }

  @Test
  void pipeInsteadOfANamespaceIsRejectedWithoutBlocking() throws Exception {
    try (TestBed bed = new TestBed()) {
      Path pipe = bed.directory().resolve("pipe");
      TestBed.run(bed.netns(), "mkfifo", pipe.toString());
      assertThrows(NotNamespaceException.class, () -> NetNs.open(pipe));
    }
  }

  private static List<Path> threadsInOtherNamespaces() throws IOException {
    String original = Files.readSymbolicLink(Path.of("/proc/self/ns/net")).toString();
    List<Path> threadsElsewhere = new ArrayList<>();
    try (var threads = Files.newDirectoryStream(Path.of("/proc/self/task"))) {
      for (Path thread : threads) {
        try {
          if (!Files.readSymbolicLink(thread.resolve("ns/net")).toString().equals(original)) {
            threadsElsewhere.add(thread);
          }
        } catch (IOException e) {
          // the thread has ended meanwhile
        }
      }
    }
    return threadsElsewhere;
  }

  @Test
  void otherFilesAreRejectedAndAMissingOneIsENOENT() throws IOException {
    try (TestBed bed = new TestBed()) {
      Path file = Files.createFile(bed.directory().resolve("file"));
      assertThrows(NotNamespaceException.class, () -> NetNs.open(file));
      assertThrows(NotNamespaceException.class, () -> NetNs.open(Path.of("/proc/self/ns/mnt")));
      KernelException missing =
          assertThrows(KernelException.class, () -> NetNs.open(file.resolveSibling("missing")));
      assertTrue(missing.is(Errno.ENOENT));
      assertThrows(IllegalArgumentException.class, () -> NetNs.pathOf("../x"));
    }
  }
}
