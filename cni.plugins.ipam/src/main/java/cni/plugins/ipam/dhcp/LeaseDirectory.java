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
 * Leases on disk, each a file: the one truth that keepers in several processes share. A lease
 * exists as long as its file does.
 *
 * @param path the directory, made when first needed
 */
record LeaseDirectory(Path path) {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  private static final String SUFFIX = ".lease";
  private static final int NAME_BYTES = 16;
  private static final Duration LOCK_TIMEOUT = Duration.ofSeconds(10);

  /** The file of a lease: names may hold what file names cannot. */
  Path file(String network, AttachmentId id, DhcpFamily family) {
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256")
              .digest((Lease.clientId(network, id) + "\0" + id).getBytes(StandardCharsets.UTF_8));
      String name = HexFormat.of().formatHex(digest, 0, NAME_BYTES);
      return path.resolve(name + "." + family.text() + SUFFIX);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java has it
    }
  }

  private Path file(Lease lease) {
    return file(lease.network(), lease.id(), lease.family());
  }

  /**
   * The lease in a file, if it is there.
   *
   * @throws CniException code 5 if it cannot be read
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
      LOG.get().log(System.Logger.Level.WARNING, "passed over: " + file + ": " + e.getMessage());
      return Optional.empty();
    }
  }

  /**
   * Every lease.
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
   * Writes a lease in place of what is there.
   *
   * @param condition what has to be there, seen while nobody else changes anything
   * @return whether it was
   * @throws CniException code 5 if that fails
   */
  boolean write(Lease lease, Predicate<Optional<Lease>> condition) throws CniException {
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
   * Ends a lease.
   *
   * @return the lease that there was
   * @throws CniException code 5 if that fails
   */
  Optional<Lease> delete(Path file) throws CniException {
    if (Files.notExists(file)) {
      return Optional.empty();
    }
    try (Flock _ = lock()) {
      Optional<Lease> there = read(file);
      Files.deleteIfExists(file);
      return there;
    } catch (IOException e) {
      throw ioFailure("deleting " + file, e);
    }
  }

  private Flock lock() throws CniException, IOException {
    try {
      return Flock.acquire(path, LOCK_TIMEOUT);
    } catch (InterruptedException e) {
      throw CniException.interrupted("locking " + path);
    }
  }

  static CniException ioFailure(String what, IOException e) {
    return new CniException(ErrorCode.IO_FAILURE, what + ": " + IoErrors.describe(e), e);
  }
}
