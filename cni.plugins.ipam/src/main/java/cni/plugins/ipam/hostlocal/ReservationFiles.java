// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.internal.AtomicFiles;
import cni.api.internal.BootId;
import cni.api.internal.FileRecycler;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.api.internal.RegularFiles;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;

/**
 * The files of a reservation directory: one per address, {@code last_reserved_ip.N} per range set,
 * the lock, and temporary files. Only used while the lock is held.
 *
 * @param directory the directory, {@code <dataDir>/<network>}
 */
record ReservationFiles(Path directory) {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  private static final String LOCK_FILE = "lock";
  private static final String LAST_RESERVED_PREFIX = "last_reserved_ip.";

  /** Begins the name of every temporary file; the lock allows one writer, so one name is enough. */
  private static final String TEMP_PREFIX = ".unnamed";

  /** Begins the names of files that a running process keeps for reuse. */
  static final String RECYCLED_PREFIX = TEMP_PREFIX + ".";

  /**
   * The content of the directory.
   *
   * @param holders the reserved addresses
   * @param incomplete the addresses whose files are incomplete
   * @param unreadable the addresses whose files are unreadable
   * @param temporaryFiles files that may be deleted
   */
  record Contents(
      Map<InetAddress, ReservationHolder> holders,
      List<InetAddress> incomplete,
      List<InetAddress> unreadable,
      List<Path> temporaryFiles) {
    private void add(InetAddress address, ReservationState state) {
      if (state instanceof ReservationState.Held held) {
        holders.put(address, held.holder());
      } else if (state instanceof ReservationState.Unreadable(String reason)) {
        unreadable.add(address);
        logUnreadable(reason);
      } else {
        incomplete.add(address);
      }
    }
  }

  Path lockFile() {
    return directory.resolve(LOCK_FILE);
  }

  /** Returns the file of an address. */
  Path fileOf(InetAddress address) {
    return directory.resolve(InetAddresses.format(address));
  }

  /**
   * Reads all files.
   *
   * @throws CniException code 5 if the directory cannot be read
   */
  Contents read() throws CniException {
    var contents =
        new Contents(
            new LinkedHashMap<>(), new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      for (Path file : files) {
        String name = String.valueOf(file.getFileName());
        Optional<InetAddress> address = addressOf(name);
        if (address.isPresent()) {
          contents.add(address.get(), ReservationState.read(file));
        } else if (name.startsWith(TEMP_PREFIX) && !isInUse(name)) {
          contents.temporaryFiles().add(file);
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      throw failure("reservations in " + directory + " cannot be read", e);
    }
    return contents;
  }

  /** Whether a running process keeps the temporary file for reuse. */
  private static boolean isInUse(String name) {
    return name.startsWith(RECYCLED_PREFIX)
        && FileRecycler.isInUse(name.substring(RECYCLED_PREFIX.length()));
  }

  /**
   * Reads a file that has changed.
   *
   * @return absent if it is not the file of an address
   */
  Optional<ReservationState> reread(String name) {
    if (addressOf(name).isEmpty()) {
      return Optional.empty();
    }
    // Read by this name: it may be another notation than ours of the address.
    ReservationState state = ReservationState.read(directory.resolve(name));
    if (state instanceof ReservationState.Unreadable(String reason)) {
      logUnreadable(reason);
    }
    return Optional.of(state);
  }

  private static void logUnreadable(String reason) {
    LOG.get()
        .log(
            System.Logger.Level.WARNING,
            "its address counts as reserved until the file is removed: " + reason);
  }

  /**
   * Returns those of the addresses that were reserved in an earlier boot ({@link BootId#bootTime}),
   * oldest first. None if the directory may be another host's too.
   */
  List<InetAddress> reservedBeforeBoot(List<InetAddress> addresses) {
    try {
      Optional<Instant> boot = BootId.bootTime();
      if (boot.isEmpty()
          || !directory.getFileSystem().equals(FileSystems.getDefault())
          || !ReservationCache.isLocal(directory)) {
        return List.of();
      }
      Map<InetAddress, Instant> times = new HashMap<>();
      for (InetAddress address : addresses) {
        modified(fileOf(address))
            .filter(it -> it.isBefore(boot.get()))
            .ifPresent(it -> times.put(address, it));
      }
      return times.entrySet().stream()
          .sorted(Map.Entry.comparingByValue())
          .map(Map.Entry::getKey)
          .toList();
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "ages of reservations cannot be read", e);
      return List.of();
    }
  }

  /** Returns when the file of an address was modified; absent if that is not known. */
  Optional<Instant> modifiedAt(InetAddress address) {
    try {
      return modified(fileOf(address));
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /** Returns when a regular file was modified; absent if it is none. */
  private static Optional<Instant> modified(Path file) throws IOException {
    return Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)
        ? Optional.of(Files.getLastModifiedTime(file, LinkOption.NOFOLLOW_LINKS).toInstant())
        : Optional.empty();
  }

  /** Returns the address that a file is named by. */
  static Optional<InetAddress> addressOf(String name) {
    if (!name.chars().allMatch(c -> Character.digit(c, 16) >= 0 || c == ':' || c == '.')) {
      return Optional.empty(); // avoids the cost of an exception for "lock" and other files
    }
    try {
      return Optional.of(InetAddresses.parse(name));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  static boolean isLastReserved(String name) {
    return name.startsWith(LAST_RESERVED_PREFIX);
  }

  /** Whether a file has a name that host-local uses, or is hidden, as those of editors are. */
  static boolean isKnownOrHidden(String name) {
    return name.startsWith(".")
        || name.equals(LOCK_FILE)
        || isLastReserved(name)
        || addressOf(name).isPresent();
  }

  /** Whether a file has a name and a type that only files of a reservation directory have. */
  static boolean isOfPlugin(Path file) {
    String name = String.valueOf(file.getFileName());
    return (name.equals(LOCK_FILE) || isLastReserved(name) || addressOf(name).isPresent())
        && Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS);
  }

  /** Deletes temporary files. One that cannot be deleted, such as a directory, is logged. */
  static void deleteTemporaryFiles(List<Path> temporaryFiles) {
    for (Path file : temporaryFiles) {
      try {
        Files.deleteIfExists(file);
      } catch (IOException e) {
        LOG.get()
            .log(
                System.Logger.Level.WARNING,
                "temporary file cannot be deleted: " + IoErrors.describe(e));
      }
    }
  }

  /**
   * Creates or replaces a file atomically.
   *
   * @throws IOException if that fails
   */
  void write(Path file, byte[] content) throws IOException {
    AtomicFiles.write(file, directory.resolve(TEMP_PREFIX), content);
  }

  /**
   * Returns the address that was allocated last from a range set.
   *
   * @return absent if there is none or its file does not contain an address
   */
  Optional<InetAddress> lastReserved(int rangeSetIndex) {
    Path file = directory.resolve(LAST_RESERVED_PREFIX + rangeSetIndex);
    try {
      String text = new String(RegularFiles.readState(file), StandardCharsets.UTF_8);
      return Optional.of(InetAddresses.parse(text.strip()));
    } catch (NoSuchFileException | IllegalArgumentException e) {
      return Optional.empty();
    } catch (IOException e) {
      logIgnored(file, e);
      return Optional.empty();
    }
  }

  /**
   * Writes the address that was allocated last from a range set. Anything but a regular file in its
   * place is left alone: then each allocation starts with the first address of the set.
   *
   * @return the name of the file
   * @throws IOException if that fails
   */
  String writeLastReserved(int rangeSetIndex, InetAddress address) throws IOException {
    String name = LAST_RESERVED_PREFIX + rangeSetIndex;
    Path file = directory.resolve(name);
    try {
      AtomicFiles.writeInPlace(
          file, InetAddresses.format(address).getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      if (Files.notExists(file, LinkOption.NOFOLLOW_LINKS)
          || Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
        throw e;
      }
      logIgnored(file, e);
    }
    return name;
  }

  private static void logIgnored(Path file, IOException e) {
    LOG.get()
        .log(System.Logger.Level.WARNING, file + " is ignored; remove it: " + IoErrors.reason(e));
  }

  /**
   * Writes a file and deletes it, without the lock: like any temporary file it may be deleted by
   * others meanwhile.
   *
   * @throws CniException code 50 if that fails, such as on a full or read-only file system
   */
  void requireWritable() throws CniException {
    try {
      String unique = Long.toHexString(ThreadLocalRandom.current().nextLong());
      AtomicFiles.requireWritable(directory.resolve(RECYCLED_PREFIX + unique));
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.NOT_AVAILABLE,
          "directory %s, for the reservations of addresses, cannot be written to: %s"
              .formatted(directory, IoErrors.describe(e)),
          e);
    }
  }

  static CniException failure(String what, Exception e) {
    return new CniException(ErrorCode.IO_FAILURE, what + ": " + IoErrors.describe(e), e);
  }
}
