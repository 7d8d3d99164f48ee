// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.internal.AtomicFiles;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.api.internal.RegularFiles;
import cni.netlink.ffm.file.Flock;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * The leases on disk, one file each, shared by the {@link LeaseManager}s of several processes. A
 * lease exists as long as its file does.
 *
 * @param path the directory, created when the first lease is written
 */
record LeaseDirectory(Path path) {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  private static final String SUFFIX = ".lease";

  /** Ends the name of a lease that is being written, until it is renamed. */
  private static final String UNFINISHED = ".unfinished";

  /** Appended to the name of a file that is not a valid lease. */
  private static final String INVALID = ".invalid";

  private static final int NAME_BYTES = 16;
  private static final Duration LOCK_TIMEOUT = Duration.ofSeconds(10);

  /**
   * Returns the file of a lease; its name is a hash, as ids may have characters a file name cannot.
   */
  Path file(String network, AttachmentId id, DhcpFamily family) {
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256")
              .digest((Lease.clientId(network, id) + "\0" + id).getBytes(StandardCharsets.UTF_8));
      String name = HexFormat.of().formatHex(digest, 0, NAME_BYTES);
      return path.resolve(name + "." + family.text() + SUFFIX);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java platform has SHA-256
    }
  }

  private Path file(Lease lease) {
    return file(lease.network(), lease.id(), lease.family());
  }

  /**
   * Reads a lease.
   *
   * @return absent if the file does not exist, or is not a valid lease, which is logged
   * @throws CniException code 5 if the file cannot be read
   */
  Optional<Lease> read(Path file) throws CniException {
    byte[] content;
    try {
      content = RegularFiles.readState(file);
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      if (Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
        throw ioFailure("reading " + file, e);
      }
      LOG.get().log(System.Logger.Level.WARNING, "ignored: " + IoErrors.describe(e));
      return Optional.empty();
    }
    try {
      return Optional.of(Lease.read(new ConfigObject(Json.parse(content, "" + file), "")));
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.WARNING, "ignored: " + file + ": " + e.getMessage());
      return Optional.empty();
    }
  }

  /**
   * Reads all valid leases. Other files with a lease's name are renamed and logged, so that each is
   * reported once.
   *
   * @throws CniException code 5 if the directory cannot be read
   */
  List<Lease> readAll() throws CniException {
    List<Lease> leases = new ArrayList<>();
    if (!Files.isDirectory(path)) {
      return leases;
    }
    try (DirectoryStream<Path> files = Files.newDirectoryStream(path, "*" + SUFFIX)) {
      for (Path file : files) {
        Optional<Lease> lease = readOrSetAside(file);
        lease.ifPresent(leases::add);
      }
    } catch (IOException | DirectoryIteratorException e) {
      throw ioFailure("listing " + path, e);
    }
    return leases;
  }

  private Optional<Lease> readOrSetAside(Path file) throws CniException {
    try {
      Optional<Lease> lease = read(file);
      return lease.isPresent() ? lease : setAside(file);
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.WARNING, "ignored: " + file, e);
    } catch (CniException e) {
      if (e.is(ErrorCode.TRY_AGAIN_LATER)) {
        throw e;
      }
      LOG.get().log(System.Logger.Level.WARNING, "ignored: " + e.getMessage());
    }
    return Optional.empty();
  }

  /** Renames an invalid file, unless it has been deleted, or replaced by a lease, meanwhile. */
  private Optional<Lease> setAside(Path file) throws CniException, IOException {
    try (Flock _ = lock()) {
      if (Files.notExists(file, LinkOption.NOFOLLOW_LINKS)) {
        return Optional.empty();
      }
      Optional<Lease> lease = read(file);
      if (lease.isEmpty()) {
        Path aside = path.resolve(file.getFileName() + INVALID);
        Files.move(file, aside, StandardCopyOption.REPLACE_EXISTING);
        LOG.get().log(System.Logger.Level.WARNING, "kept as " + aside);
      }
      return lease;
    }
  }

  /**
   * Deletes what killed processes left: leases that they were writing, and the files of owners.
   *
   * @throws CniException code 5 if the directory cannot be read
   */
  void deleteLeftovers() throws CniException {
    if (!Files.isDirectory(path)) {
      return;
    }
    try (Flock _ = lock();
        DirectoryStream<Path> files = Files.newDirectoryStream(path)) {
      for (Path file : files) {
        deleteLeftover(file);
      }
    } catch (IOException | DirectoryIteratorException e) {
      throw ioFailure("deleting the leftovers in " + path, e);
    }
  }

  private static void deleteLeftover(Path file) throws CniException {
    try {
      if (String.valueOf(file.getFileName()).endsWith(SUFFIX + UNFINISHED)) {
        Files.deleteIfExists(file); // its writer would hold the lock
      } else {
        LeaseOwnerLock.deleteIfDead(file);
      }
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.WARNING, "cannot be deleted: " + IoErrors.describe(e));
    }
  }

  /**
   * Writes a lease, in place of an existing one.
   *
   * @throws CniException code 5 if that fails
   */
  void write(Lease lease) throws CniException {
    writeIf(lease, existing -> true);
  }

  /**
   * Replaces a lease, unless it has been released or taken over by another owner meanwhile.
   *
   * @return whether it was replaced
   * @throws CniException code 5 if that fails
   */
  boolean replace(Lease previous, Lease lease) throws CniException {
    return writeIf(lease, existing -> existing.filter(previous::hasSameOwner).isPresent());
  }

  /** Writes a lease if the condition holds for the existing one, with the directory locked. */
  private boolean writeIf(Lease lease, Predicate<Optional<Lease>> condition) throws CniException {
    Path file = file(lease);
    try {
      AtomicFiles.createDirectories(path);
      try (Flock _ = lock()) {
        boolean holds = condition.test(read(file));
        if (holds) {
          Path unfinished = path.resolve(file.getFileName() + UNFINISHED);
          AtomicFiles.write(file, unfinished, Json.bytes(lease.toJson()));
        }
        return holds;
      }
    } catch (IOException e) {
      throw ioFailure("writing " + file, e);
    }
  }

  /**
   * Deletes a lease.
   *
   * @return the deleted lease; absent if it did not exist
   * @throws CniException code 5 if that fails
   */
  Optional<Lease> delete(Path file) throws CniException {
    if (Files.notExists(file)) {
      return Optional.empty();
    }
    try (Flock _ = lock()) {
      Optional<Lease> deleted = read(file);
      Files.deleteIfExists(file);
      return deleted;
    } catch (IOException e) {
      throw ioFailure("deleting " + file, e);
    }
  }

  /**
   * Locks the directory.
   *
   * @throws CniException code 11 if the thread is interrupted
   * @throws IOException if other processes held the lock for 10 s, or it cannot be locked
   */
  Flock lock() throws CniException, IOException {
    try {
      return Flock.acquireDirectory(path, LOCK_TIMEOUT);
    } catch (InterruptedException e) {
      throw CniException.interrupted("locking " + path);
    }
  }

  static CniException ioFailure(String what, Exception e) {
    return new CniException(ErrorCode.IO_FAILURE, what + ": " + IoErrors.describe(e), e);
  }
}
