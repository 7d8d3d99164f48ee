// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.netns;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Libc;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * Named namespaces that belong to the process that created them. It holds a lock on each, by
 * fcntl(2) and not by flock(2), which the reference's sbr plugin uses, until it closes it. The
 * kernel releases the lock when the process dies, even by SIGKILL; another process then finds the
 * name, in any PID namespace, and can remove it.
 */
public final class NamespaceOwnership {
  /** Within this time after the creation of a namespace, its lock is taken. */
  private static final long CREATION_MILLIS = 200;

  private NamespaceOwnership() {}

  /**
   * Creates a namespace as {@link NetNs#create} does, which belongs to this process until the
   * returned object is closed.
   *
   * @throws IOException as by {@link NetNs#create}
   */
  public static NetNs create(String name) throws IOException {
    NetNs netns = NetNs.create(name);
    try {
      Libc.lockOpenFileShared(netns.fd());
      return netns;
    } catch (KernelException e) {
      netns.close();
      NetNs.delete(name);
      throw e;
    }
  }

  /**
   * Returns the names below {@link NetNs#RUN_DIRECTORY} whose owners have died, also those of
   * owners that died before they mounted the namespace. All namespaces with the prefix must have
   * been created by {@link #create}. Waits a moment if there are any.
   *
   * @throws IOException if the directory cannot be read
   */
  public static List<String> abandoned(String prefix) throws IOException {
    List<String> candidates = unlocked(names(prefix));
    if (candidates.isEmpty()) {
      return candidates;
    }
    try {
      Thread.sleep(CREATION_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return List.of();
    }
    return unlocked(candidates);
  }

  private static List<String> names(String prefix) throws IOException {
    try (Stream<Path> files = Files.list(NetNs.RUN_DIRECTORY)) {
      return files
          .map(file -> Objects.requireNonNull(file.getFileName()).toString())
          .filter(name -> name.startsWith(prefix))
          .sorted()
          .toList();
    } catch (NoSuchFileException e) {
      return List.of(); // no namespace has been created yet
    }
  }

  private static List<String> unlocked(List<String> names) {
    return names.stream().filter(NamespaceOwnership::isUnlocked).toList();
  }

  private static boolean isUnlocked(String name) {
    try (NetNs netns = NetNs.open(NetNs.pathOf(name))) {
      return !Libc.hasOpenFileLock(netns.fd());
    } catch (NotNamespaceException e) {
      return true; // the file of an owner that died before it mounted the namespace
    } catch (KernelException e) {
      return !e.is(Errno.ENOENT);
    }
  }
}
