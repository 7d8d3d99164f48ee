// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;

/** What is found of the directories that ADD uses. */
@KernelTest(commands = {"ip", "mount", "umount"})
class StorageExaminationsTest {
  /** Mounts a file system over the cache directory while a task runs. */
  private static void withCacheOn(String options, TestHost host, Task task) throws Exception {
    Files.createDirectories(host.cache());
    command("mount", "-t", "tmpfs", "-o", options, "tmpfs", host.cache().toString());
    try {
      task.run();
    } finally {
      command("umount", host.cache().toString());
    }
  }

  private interface Task {
    void run() throws Exception;
  }

  private static void command(String... command) throws IOException, InterruptedException {
    assertEquals(0, new ProcessBuilder(command).inheritIO().start().waitFor());
  }

  @Test
  void cacheIsReadOnly(TestHost host) throws Exception {
    host.dualStack("n", "");
    withCacheOn(
        "ro,mode=755",
        host,
        () -> {
          try (var examined = new ExaminedHost(host)) {
            examined.assertOnly(
                FindingKind.DISK_READ_ONLY, host.cache().toString(), "mount -o remount,rw");
          }
        });
  }

  @Test
  void cacheIsFull(TestHost host) throws Exception {
    host.dualStack("n", "");
    withCacheOn(
        "size=64k,mode=755",
        host,
        () -> {
          try (var examined = new ExaminedHost(host)) {
            examined.assertOnly(FindingKind.DISK_FULL, host.cache().toString(), "df -h");
          }
        });
  }

  @Test
  void othersCanReplaceAPlugin(TestHost host) throws Exception {
    host.dualStack("n", "");
    host.script("example", "");
    Path file = host.executables().resolve("example");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxrwxrwx"));
    try (var examined = new ExaminedHost(host)) {
      examined.assertOnly(
          FindingKind.WRITABLE_BY_OTHERS, file + " may be written to by others", "chmod go-w");
    }
  }

  @Test
  void namedNamespaceIsAPlainFile(TestHost host) throws Exception {
    host.dualStack("n", "");
    Path directory = Files.createDirectories(host.directory().resolve("netns"));
    Path file = Files.createFile(directory.resolve("blue"));
    try (var examined = new ExaminedHost(host)) {
      examined.assertOnly(
          FindingKind.NAMESPACE_FILE_STALE, file + " is not a network namespace", "rm " + file);
    }
  }
}
