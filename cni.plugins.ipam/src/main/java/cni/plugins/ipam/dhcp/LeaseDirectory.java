package cni.plugins.ipam.dhcp;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.internal.AtomicFiles;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.file.Flock;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
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
   * @return absent if the file does not exist, or is invalid, which is logged
   * @throws CniException code 5 if the file cannot be read
   */
  Optional<Lease> read(Path file) throws CniException {
    try {
      return Optional.of(
          Lease.read(new ConfigObject(Json.parse(Files.readAllBytes(file), "" + file), "")));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw ioFailure("reading " + file, e);
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.WARNING, "ignored: " + file + ": " + e.getMessage());
      return Optional.empty();
    }
  }

  /**
   * Reads all valid leases.
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
        read(file).ifPresent(leases::add);
      }
    } catch (IOException e) {
      throw ioFailure("listing " + path, e);
    }
    return leases;
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
          Path unfinished = path.resolve(file.getFileName() + ".unfinished");
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

  private Flock lock() throws CniException, IOException {
    try {
      return Flock.acquireDirectory(path, LOCK_TIMEOUT);
    } catch (InterruptedException e) {
      throw CniException.interrupted("locking " + path);
    }
  }

  static CniException ioFailure(String what, IOException e) {
    return new CniException(ErrorCode.IO_FAILURE, what + ": " + IoErrors.describe(e), e);
  }
}
