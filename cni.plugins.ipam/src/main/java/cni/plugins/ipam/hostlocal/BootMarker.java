package cni.plugins.ipam.hostlocal;

import cni.api.internal.AtomicFiles;
import cni.api.internal.BootId;
import cni.api.internal.LazyLogger;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * An empty file in each reservation directory, named by the id of the boot (proc_sys_kernel(5))
 * that the directory was first used in, whose modification time is the time of that boot.
 *
 * <p>A reservation is of an earlier boot if its file is older than that time, and older than the
 * time of the boot as it is now. The kernel computes the time of the boot from the present time, so
 * that alone would make every reservation one of an earlier boot after the clock has been set
 * forward: on a machine without a battery-backed clock, or one that was suspended by its
 * hypervisor. The file's time alone would err after the clock has been set back.
 */
final class BootMarker {
  /** Not the beginning of an address, and nothing that the reference plugin reads as a holder. */
  static final String PREFIX = ".boot-";

  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  private BootMarker() {}

  /**
   * Creates the file of this boot, unless it exists, and deletes those of earlier ones. Does
   * nothing if that fails: then no reservation counts as one of an earlier boot.
   *
   * @param existing the names of the files of boots in the directory
   */
  static void ensure(Path directory, List<String> existing) {
    if (!directory.getFileSystem().equals(FileSystems.getDefault())) {
      return;
    }
    Optional<String> id = BootId.current();
    String name = PREFIX + id.orElse("");
    if (id.isEmpty() || (existing.size() == 1 && existing.getFirst().equals(name))) {
      return;
    }
    try {
      if (!existing.contains(name)) {
        create(directory.resolve(name));
      }
      for (String other : existing) {
        if (!other.equals(name)) {
          Files.deleteIfExists(directory.resolve(other));
        }
      }
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "the boot is not recorded in " + directory, e);
    }
  }

  private static void create(Path marker) throws IOException {
    Optional<Instant> booted = BootId.bootTime();
    if (booted.isPresent()) {
      AtomicFiles.writeUnpublished(marker, new byte[0]);
      Files.setLastModifiedTime(marker, FileTime.from(booted.get()));
    }
  }

  /**
   * Returns those of the addresses that were reserved in an earlier boot, oldest first. None if the
   * directory may be another host's too.
   */
  static List<InetAddress> reservedBefore(ReservationFiles files, List<InetAddress> addresses) {
    Path directory = files.directory();
    try {
      if (!directory.getFileSystem().equals(FileSystems.getDefault())
          || !ReservationCache.isLocal(directory)) {
        return List.of();
      }
      Instant booted = BootId.bootTime().orElse(Instant.MIN);
      Instant marked =
          modified(directory.resolve(PREFIX + BootId.current().orElse(""))).orElse(Instant.MIN);
      Instant end = marked.isBefore(booted) ? marked : booted;
      Map<InetAddress, Instant> times = new HashMap<>();
      for (InetAddress address : addresses) {
        modified(files.fileOf(address))
            .filter(it -> it.isBefore(end))
            .ifPresent(it -> times.put(address, it));
      }
      return times.entrySet().stream()
          .sorted(Map.Entry.comparingByValue())
          .map(Map.Entry::getKey)
          .toList();
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "the time of the boot is not known", e);
      return List.of();
    }
  }

  /** Returns when a regular file was modified; absent if it is none. */
  private static Optional<Instant> modified(Path file) throws IOException {
    return Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)
        ? Optional.of(Files.getLastModifiedTime(file, LinkOption.NOFOLLOW_LINKS).toInstant())
        : Optional.empty();
  }
}
