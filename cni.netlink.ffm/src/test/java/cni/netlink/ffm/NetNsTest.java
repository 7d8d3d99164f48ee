package cni.netlink.ffm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.lab.KernelTest;
import cni.netlink.lab.Lab;
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
  void ipCommandSeesWhatIsCreatedAndNothingAfterDeletion() throws IOException {
    try (Lab lab = new Lab();
        NetNs own = NetNs.current()) {
      String name = lab.prefix() + "named";
      try (NetNs created = NetNs.create(name)) {
        assertTrue(Lab.run(own, "ip", "netns", "list").contains(name));
        Lab.run(own, "ip", "netns", "exec", name, "ip", "link", "show", "lo");
        assertThrows(FileAlreadyExistsException.class, () -> NetNs.create(name));
        assertNotEquals(own.identity(), created.identity());
        try (NetNs again = NetNs.open(NetNs.named(name))) {
          assertEquals(created.identity(), again.identity());
        }
      } finally {
        NetNs.delete(name);
      }
      assertFalse(Lab.run(own, "ip", "netns", "list").contains(name));
      assertFalse(Files.exists(NetNs.named(name)));
      NetNs.delete(name); // once more does no harm
    }
  }

  @Test
  void opensWhatIpCommandCreated() throws IOException {
    try (Lab lab = new Lab();
        NetNs own = NetNs.current()) {
      String name = lab.prefix() + "ip";
      Lab.run(own, "ip", "netns", "add", name);
      try (NetNs opened = NetNs.open(NetNs.named(name))) {
        assertNotEquals(own.identity(), opened.identity());
      } finally {
        NetNs.delete(name);
      }
      assertFalse(Lab.run(own, "ip", "netns", "list").contains(name));
    }
  }

  @Test
  void callRunsInsideAndTheCallerStaysWhereItWas() throws IOException {
    try (Lab lab = new Lab()) {
      Path self = Path.of("/proc/thread-self/ns/net");
      String before = Files.readSymbolicLink(self).toString();
      String inside =
          lab.host().<String, IOException>call(() -> Files.readSymbolicLink(self).toString());
      assertNotEquals(before, inside);
      assertEquals(before, Files.readSymbolicLink(self).toString());
      IOException thrown =
          assertThrows(
              IOException.class,
              () ->
                  lab.host()
                      .<Void, IOException>call(
                          () -> {
                            throw new IOException("from inside");
                          }));
      assertEquals("from inside", thrown.getMessage());
    }
  }

  @Test
  void everyThreadOfTheProcessIsBackHomeOrEndedAfterwards() throws Exception {
    try (Lab lab = new Lab()) {
      for (int i = 0; i < 20; i++) {
        lab.host().<Integer, IOException>call(() -> 1);
        lab.host().<Integer, IOException>callWithSys(() -> 1);
      }
      // A thread that ends takes a moment longer to vanish from /proc.
      for (int i = 0; i < 100 && !threadsAway().isEmpty(); i++) {
        Thread.sleep(20);
      }
      assertEquals(List.of(), threadsAway());
    }
  }

  @Test
  void virtualThreadsThatWaitAreNeverCarriedIntoANamespace() throws Exception {
    try (Lab lab = new Lab();
        var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Integer>> calls = new ArrayList<>();
      for (int i = 0; i < 200; i++) {
        calls.add(threads.submit(() -> lab.host().<Integer, IOException>callWithSys(() -> 1)));
        calls.add(threads.submit(() -> lab.host().<Integer, IOException>call(() -> 1)));
      }
      for (Future<Integer> call : calls) {
        call.get();
      }
      for (int i = 0; i < 100 && !threadsAway().isEmpty(); i++) {
        Thread.sleep(20);
      }
      assertEquals(List.of(), threadsAway());
    }
  }

  @Test
  void aPipeInPlaceOfANamespaceIsRefusedAtOnce() throws Exception {
    try (Lab lab = new Lab()) {
      Path pipe = lab.directory().resolve("pipe");
      Lab.run(lab.host(), "mkfifo", pipe.toString());
      assertThrows(NotNamespaceException.class, () -> NetNs.open(pipe));
    }
  }

  private static List<Path> threadsAway() throws IOException {
    String home = Files.readSymbolicLink(Path.of("/proc/self/ns/net")).toString();
    List<Path> away = new ArrayList<>();
    try (var threads = Files.newDirectoryStream(Path.of("/proc/self/task"))) {
      for (Path thread : threads) {
        try {
          if (!Files.readSymbolicLink(thread.resolve("ns/net")).toString().equals(home)) {
            away.add(thread);
          }
        } catch (IOException e) {
          // it has ended just now
        }
      }
    }
    return away;
  }

  @Test
  void refusesWhatIsNoNamespace() throws IOException {
    try (Lab lab = new Lab()) {
      Path file = Files.createFile(lab.directory().resolve("file"));
      assertThrows(NotNamespaceException.class, () -> NetNs.open(file));
      assertThrows(NotNamespaceException.class, () -> NetNs.open(Path.of("/proc/self/ns/mnt")));
      KernelException missing =
          assertThrows(KernelException.class, () -> NetNs.open(file.resolveSibling("missing")));
      assertTrue(missing.is(Errno.ENOENT));
      assertThrows(IllegalArgumentException.class, () -> NetNs.named("../x"));
    }
  }
}
