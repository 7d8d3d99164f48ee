// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.CniException;
import cni.api.internal.FileOwnership;
import cni.runtime.Network;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Examines the file systems and the permissions of the directories that ADD uses. */
final class StorageExaminations {
  static final List<Examination> ALL =
      List.of(
          new Examination(FindingKind.DISK_READ_ONLY, StorageExaminations::readOnly),
          new Examination(FindingKind.DISK_FULL, StorageExaminations::full),
          new Examination(FindingKind.WRITABLE_BY_OTHERS, StorageExaminations::writableByOthers),
          new Examination(FindingKind.NAMESPACE_FILE_STALE, StorageExaminations::staleNamespaces));

  /** Bytes; a result and a reservation take a few kilobytes. */
  private static final long MIN_SPACE = 1 << 20;

  /** How long a namespace may take from its file to its mount, or back. */
  private static final Duration MOUNT_TIME = Duration.ofMillis(100);

  private StorageExaminations() {}

  /** Returns the directories that ADD writes to. */
  private static Set<Path> written(HostView host) throws IOException, CniException {
    Set<Path> directories = new LinkedHashSet<>();
    directories.add(host.locations().cache());
    for (Network network : host.networks()) {
      HostView.ranges(network).ifPresent(it -> directories.add(it.directory()));
    }
    return directories;
  }

  /** Returns the file system that a directory is on, or will be when it is created. */
  private static FileStore store(Path directory) throws IOException {
    @Nullable Path existing = directory.toAbsolutePath();
    while (existing != null && !Files.exists(existing)) {
      existing = existing.getParent();
    }
    if (existing == null) {
      throw new NoSuchFileException(directory.toString());
    }
    return Files.getFileStore(existing);
  }

  private static void readOnly(HostView host, Findings findings) throws IOException, CniException {
    for (Path directory : written(host)) {
      FileStore store = store(directory);
      if (store.isReadOnly()) {
        findings.ofHost(
            "a directory that ADD writes to is on a read-only file system",
            directory + " is on " + store + ", mounted read-only",
            RemedyText.commented(
                "mount -o remount,rw $(df --output=target %s | tail -1)"
                    .formatted(RemedyText.quoted(directory)),
                "dmesg says whether the kernel made it so"));
      }
    }
  }

  private static void full(HostView host, Findings findings) throws IOException, CniException {
    for (Path directory : written(host)) {
      FileStore store = store(directory);
      if (!store.isReadOnly() && store.getUsableSpace() < MIN_SPACE) {
        findings.ofHost(
            "the file system that ADD writes to is full",
            directory + " has " + store.getUsableSpace() + " bytes left",
            "free space there: df -h " + RemedyText.quoted(directory));
      }
    }
  }

  private static void writableByOthers(HostView host, Findings findings)
      throws IOException, CniException {
    Set<Path> all = new LinkedHashSet<>();
    all.add(host.locations().networks());
    host.files().forEach(it -> all.add(it.file()));
    all.addAll(host.locations().executables());
    for (Path directory : host.locations().executables()) {
      all.addAll(Directories.entries(directory));
    }
    all.addAll(host.locations().modules());
    all.addAll(written(host));
    Set<String> objections = new LinkedHashSet<>();
    for (Path path : all) {
      if (Files.exists(path)) {
        FileOwnership.objectionToPath(path).ifPresent(objections::add);
      }
    }
    for (String objection : objections) {
      findings.ofHost(
          "users other than root can change what plugins do, which run as root",
          objection,
          "chown root:root %1$s; chmod go-w %1$s".formatted(RemedyText.quoted(path(objection))));
    }
  }

  /** Returns the path that an objection begins with. */
  private static String path(String objection) {
    return objection.replaceFirst(" (is owned by|may be written to by) .*", "");
  }

  private static void staleNamespaces(HostView host, Findings findings) throws IOException {
    if (!findings.scopeIsHost()) {
      return;
    }
    for (Path file : Directories.entries(host.locations().namespaces())) {
      if (isStale(file)) {
        findings.ofHost(
            "a named network namespace is a plain file: nothing is mounted there any more",
            file + " is not a network namespace",
            RemedyText.commented(
                "rm " + RemedyText.quoted(file),
                "after \"cni gc\" of the networks that it was attached to"));
      }
    }
  }

  /**
   * Returns whether a file is no namespace, and neither being made nor deleted: the file exists
   * before the namespace is mounted on it, and is removed after it is unmounted.
   */
  private static boolean isStale(Path file) throws IOException {
    if (NamespaceSnapshot.read(file).isPresent()) {
      return false;
    }
    try {
      Thread.sleep(MOUNT_TIME);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while examining " + file);
    }
    return Files.exists(file) && NamespaceSnapshot.read(file).isEmpty();
  }
}
