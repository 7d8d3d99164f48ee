package cni.daemon;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.internal.AtomicFiles;
import cni.api.internal.IoErrors;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.Flock;
import cni.netlink.ffm.unix.UnixListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * The listening socket of a host: its own, with the lock that keeps other hosts away, or one that
 * the service manager has passed and keeps.
 */
final class HostSocket implements AutoCloseable {
  private final Path path;
  private final UnixListener listener;
  private final @Nullable Flock lock;

  /** The socket's file, if this host has created it. */
  private final @Nullable FileIdentity file;

  private HostSocket(
      Path path, UnixListener listener, @Nullable Flock lock, @Nullable FileIdentity file) {
    this.path = path;
    this.listener = listener;
    this.lock = lock;
    this.file = file;
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
      return passed.isPresent()
          ? new HostSocket(path, UnixListener.of(passed.getAsInt()), null, null)
          : create(path);
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, "the host cannot listen: " + IoErrors.describe(e), e);
    }
  }

  private static HostSocket create(Path path)
      throws CniException, IOException, InterruptedException {
    Path directory = path.toAbsolutePath().getParent();
    if (directory != null) {
      AtomicFiles.createDirectories(directory, "rwxr-xr-x");
    }
    Flock lock = lock(path);
    try {
      deleteDead(path);
      UnixListener listener = UnixListener.bind(path);
      return new HostSocket(path, listener, lock, FileIdentity.of(path));
    } catch (CniException | IOException | RuntimeException e) {
      lock.close();
      throw e;
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

  /** Stops listening; the socket's file is deleted if this host has created it. */
  @Override
  public void close() throws IOException {
    listener.close();
    if (lock != null) {
      try {
        if (Files.exists(path, LinkOption.NOFOLLOW_LINKS) && FileIdentity.of(path).equals(file)) {
          Files.delete(path);
        }
      } finally {
        lock.close();
      }
    }
  }
}
