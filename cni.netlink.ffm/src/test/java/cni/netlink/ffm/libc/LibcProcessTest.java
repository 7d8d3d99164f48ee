package cni.netlink.ffm.libc;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LibcProcessTest {
  /** In a JVM: lib/modules, of which the JVM uses a mapping and not the descriptor. */
  private static final int LOWEST = 3;

  @Test
  void inheritedDescriptorsAreNotOverwrittenInTheChild(@TempDir Path directory) throws Exception {
    Path file = Files.createFile(directory.resolve("lock")).toRealPath();
    assertEquals(file + "\n", fourthOfChild(file)); // loads the classes, too
    int saved = Libc.open("/proc/self/fd/" + LOWEST, Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
    try (var lock = new Descriptor(open(file))) {
      Libc.dup2(lock.fd(), LOWEST);
      assertEquals(file + "\n", fourthOfChild(LOWEST));
    } finally {
      Libc.dup2(saved, LOWEST);
      Libc.close(saved);
    }
  }

  private static int open(Path file) throws Exception {
    return Libc.open(file.toString(), Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
  }

  private static String fourthOfChild(Path file) throws Exception {
    try (var descriptor = new Descriptor(open(file))) {
      return fourthOfChild(descriptor.fd());
    }
  }

  /** Starts a child whose descriptor 3 is a pipe; returns what its descriptor 4 is. */
  private static String fourthOfChild(int fd) throws Exception {
    int[] pipe = LibcProcess.pipe2();
    int pid;
    try {
      pid =
          LibcProcess.spawn(
              List.of("/bin/sh", "-c", "readlink /proc/$$/fd/4"),
              List.of(),
              new int[] {pipe[0], pipe[1], pipe[1]},
              new int[] {pipe[0], fd},
              false);
    } finally {
      Libc.close(pipe[1]);
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(4096);
      int length = LibcProcess.read(pipe[0], buffer);
      while (LibcProcess.waitpidNoHang(pid) < 0) {
        Thread.sleep(1);
      }
      byte[] bytes = buffer.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE);
      return new String(bytes, StandardCharsets.UTF_8);
    } finally {
      Libc.close(pipe[0]);
    }
  }
}
