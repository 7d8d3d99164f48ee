// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.internal.AtomicFiles;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.Flock;
import cni.netlink.ffm.file.InotifyWatch;
import cni.netlink.ffm.unix.UnixListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * The listening socket of a host: its own, with the lock that keeps other hosts away, or one that
 * the service manager has passed and keeps.
 */
final class HostSocket implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.daemon");

  private final Path path;
  private final UnixListener listener;
  private final @Nullable Flock lock;

  /** The socket's file; null if it was removed before the service manager passed the socket. */
  private final @Nullable FileIdentity file;

  private final @Nullable InotifyWatch watch;

  private HostSocket(
      Path path,
      UnixListener listener,
      @Nullable Flock lock,
      @Nullable FileIdentity file,
      @Nullable InotifyWatch watch) {
    this.path = path;
    this.listener = listener;
    this.lock = lock;
    this.file = file;
    this.watch = watch;
  }

  /**
   * Listens.
   *
   * @param passed the descriptor of the listening socket that the service manager has passed
   * @throws CniException code 4 if another host has the socket, or another file is in its place;
   *     code 5 if it cannot be created
   * @throws InterruptedException if the thread is interrupted
   */
  static HostSocket open(Path path, OptionalInt passed) throws CniException, InterruptedException {
    try {
      return passed.isPresent() ? of(path, passed.getAsInt()) : create(path);
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, "the host cannot listen: " + IoErrors.describe(e), e);
    }
  }

  private static HostSocket of(Path path, int passed) throws IOException {
    UnixListener listener = UnixListener.of(passed);
    @Nullable InotifyWatch watch = watch(path);
    return new HostSocket(path, listener, null, identity(path), watch);
  }

  private static HostSocket create(Path path)
      throws CniException, IOException, InterruptedException {
    AtomicFiles.createDirectories(directory(path), "rwxr-xr-x");
    Flock lock = lock(path);
    @Nullable InotifyWatch watch = watch(path); // before the socket, whose removal it reports
    try {
      deleteDead(path);
      UnixListener listener = UnixListener.bind(path);
      return new HostSocket(path, listener, lock, identity(path), watch);
    } catch (CniException | IOException | RuntimeException e) {
      if (watch != null) {
        watch.close();
      }
      lock.close();
      throw e;
    }
  }

  private static Path directory(Path path) {
    return Objects.requireNonNull(path.toAbsolutePath().getParent());
  }

  /** Watches the directory; returns null if that is not possible, which is logged. */
  private static @Nullable InotifyWatch watch(Path path) {
    try {
      return InotifyWatch.open(directory(path));
    } catch (KernelException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "the host may not notice at once if %s is removed: %s"
                  .formatted(path, e.getMessage()));
      return null;
    }
  }

  private static Flock lock(Path path) throws CniException, KernelException, InterruptedException {
    Path file = path.resolveSibling(path.getFileName() + ".lock");
    try {
      return Flock.acquire(file, Duration.ZERO);
    } catch (KernelException e) {
      if (e.is(Errno.EAGAIN)) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "another host serves "
                + path
                + "; \"cni serve --status\" describes it, --socket chooses another path",
            e);
      }
      throw e;
    }
  }

  /** Deletes the socket of a host that was killed. */
  private static void deleteDead(Path path) throws CniException, IOException {
    if (Files.notExists(path, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    boolean isSocket =
        Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS).isOther();
    if (!isSocket) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          path + " is not a socket; remove it, or choose another path with --socket");
    }
    Files.delete(path);
  }

  UnixListener listener() {
    return listener;
  }

  /** Returns what is ready when {@link #isLost} may have changed; empty if that is unknown. */
  Optional<InotifyWatch> watch() {
    return Optional.ofNullable(watch);
  }

  /** Returns whether this host has created the socket. */
  boolean isOwn() {
    return lock != null;
  }

  /** Returns whether the path does not lead to the socket any more: no caller connects to it. */
  boolean isLost() throws IOException {
    return (watch != null && watch.pollChanges().isEmpty()) || !isInPlace();
  }

  private boolean isInPlace() throws IOException {
    return file != null && file.equals(identity(path));
  }

  /** Returns the identity of a file; null if there is none. */
  private static @Nullable FileIdentity identity(Path path) throws IOException {
    try {
      return FileIdentity.of(path);
    } catch (NoSuchFileException e) {
      return null;
    }
  }

  /** Stops listening; the socket's file is deleted if this host has created it. */
  @Override
  public void close() throws IOException {
    listener.close();
    if (watch != null) {
      watch.close();
    }
    if (lock != null) {
      try {
        if (isInPlace()) {
          Files.delete(path);
        }
      } finally {
        lock.close();
      }
    }
  }
}
