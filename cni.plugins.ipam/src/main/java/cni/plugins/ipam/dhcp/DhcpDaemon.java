// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.PluginDaemon;
import cni.api.internal.AtomicFiles;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.process.SystemdSocket;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;

/** The daemon that keeps the leases of plugin executables: {@code cni dhcp daemon}. */
public final class DhcpDaemon implements PluginDaemon {
  private static final String SOCKET_MODE = "rw-------";

  /** As the reference daemon's: others may read it. */
  private static final String PID_FILE_MODE = "rw-r--r--";

  /**
   * The directories that {@link #bind} creates; short, as a socket's path has 107 bytes at most.
   */
  private static final String UNPUBLISHED_PREFIX = ".c";

  private static final String UNPUBLISHED_SOCKET = "s";

  /** A directory of another daemon that is older has been left. */
  private static final Duration MAX_BIND_TIME = Duration.ofMinutes(1);

  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  /** Creates the daemon, for {@link java.util.ServiceLoader}. */
  public DhcpDaemon() {}

  @Override
  public String type() {
    return "dhcp";
  }

  @Override
  public String usage() {
    return DhcpDaemonOptions.USAGE;
  }

  @Override
  public void requireValid(List<String> arguments) throws CniException {
    DhcpDaemonOptions.parse(arguments);
  }

  /**
   * Runs until the thread is interrupted. Closes then what it has opened, ends its threads and
   * removes its socket, so that a process that does more can call it.
   */
  @Override
  public void run(List<String> arguments) throws CniException {
    DhcpDaemonOptions options = DhcpDaemonOptions.parse(arguments);
    Path socket = options.socket();
    boolean interrupted = false;
    try (var manager = new LeaseManager(new LeaseDirectory(options.leases()), event -> {});
        Listener listener = listen(socket)) {
      try {
        manager.adopt();
        writePid(options);
        var leases =
            new LocalLeases(
                manager, options.resendTimeout(), options.resendMax(), options.hostPrefix());
        new DhcpRpcServer(leases).serve(listener.channel());
      } finally {
        interrupted = Thread.interrupted(); // the manager waits for renewals in progress
        if (options.pidFile().isPresent()) {
          Files.deleteIfExists(options.pidFile().get());
        }
      }
    } catch (ClosedByInterruptException e) {
      interrupted = true;
    } catch (IOException e) {
      throw LeaseDirectory.ioFailure("the dhcp daemon at " + socket, e);
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static void writePid(DhcpDaemonOptions options) throws IOException {
    Optional<Path> file = options.pidFile();
    if (file.isPresent()) {
      Path unfinished = file.get().resolveSibling(file.get().getFileName() + ".unfinished");
      String pid = String.valueOf(ProcessHandle.current().pid());
      AtomicFiles.writeUnpublished(unfinished, pid.getBytes(StandardCharsets.US_ASCII));
      Files.setPosixFilePermissions(unfinished, PosixFilePermissions.fromString(PID_FILE_MODE));
      AtomicFiles.rename(unfinished, file.get());
    }
  }

  /** Returns the socket that systemd passed, or binds one, replacing the file of a dead daemon. */
  private static Listener listen(Path socket) throws CniException, IOException {
    Optional<ServerSocketChannel> inherited = SystemdSocket.listener(socket);
    if (inherited.isPresent()) {
      return new Listener(inherited.get(), Optional.empty());
    }
    Path directory = socket.toAbsolutePath().getParent();
    if (directory != null) {
      AtomicFiles.createDirectories(directory);
    }
    if (Files.exists(socket, LinkOption.NOFOLLOW_LINKS)) {
      deleteDead(socket);
    }
    ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      bind(listener, socket);
      return new Listener(listener, Optional.of(socket));
    } catch (FileAlreadyExistsException e) {
      listener.close();
      throw alreadyRunning(socket);
    } catch (IOException | RuntimeException e) {
      listener.close();
      throw e;
    }
  }

  private static CniException alreadyRunning(Path socket) {
    return new CniException(
        ErrorCode.INVALID_PARAMETER,
        "another dhcp daemon answers at " + socket + "; stop it, or choose another -socketpath");
  }

  private static void deleteDead(Path socket) throws CniException, IOException {
    if (new DaemonLeases(socket).isReachable()) {
      throw alreadyRunning(socket);
    }
    if (!isSocket(socket)) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          socket + " is not the socket of a daemon; remove it, or choose another -socketpath");
    }
    Files.delete(socket);
  }

  private static boolean isSocket(Path file) throws IOException {
    return Files.exists(file, LinkOption.NOFOLLOW_LINKS)
        && Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
            .isOther();
  }

  /**
   * Binds the listener. bind(2) applies the umask, so it binds in a directory that only this user
   * may enter, sets the mode, and then gives the socket its name.
   *
   * @throws FileAlreadyExistsException if another daemon has created its socket meanwhile
   */
  private static void bind(ServerSocketChannel listener, Path socket) throws IOException {
    Path parent = Objects.requireNonNull(socket.toAbsolutePath().getParent());
    deleteUnpublished(parent);
    Path unpublished = parent.resolve(UNPUBLISHED_PREFIX + shortRandom());
    Files.createDirectory(
        unpublished,
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    Path bound = unpublished.resolve(UNPUBLISHED_SOCKET);
    try {
      listener.bind(UnixDomainSocketAddress.of(bound));
      Files.setPosixFilePermissions(bound, PosixFilePermissions.fromString(SOCKET_MODE));
      Files.createLink(socket, bound);
    } finally {
      Files.deleteIfExists(bound);
      Files.delete(unpublished);
    }
  }

  /** Deletes the directories that daemons left which were killed while they bound their socket. */
  private static void deleteUnpublished(Path parent) {
    Instant dead = Instant.now().minus(MAX_BIND_TIME);
    try (DirectoryStream<Path> directories =
        Files.newDirectoryStream(parent, UNPUBLISHED_PREFIX + "*")) {
      for (Path it : directories) {
        Path bound = it.resolve(UNPUBLISHED_SOCKET);
        if (isSocket(bound) && Files.getLastModifiedTime(it).toInstant().isBefore(dead)) {
          Files.deleteIfExists(bound);
          Files.deleteIfExists(it);
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "directories of dhcp daemons that were killed cannot be deleted in " + parent,
              e);
    }
  }

  private static String shortRandom() {
    return Integer.toString(ThreadLocalRandom.current().nextInt(1 << 20), Character.MAX_RADIX);
  }

  /**
   * The listening socket.
   *
   * @param own the socket's file if this process created it; only then it is closed, and the file
   *     deleted (see {@link SystemdSocket#listener})
   */
  private record Listener(ServerSocketChannel channel, Optional<Path> own)
      implements AutoCloseable {
    @Override
    public void close() throws IOException {
      if (own.isPresent()) {
        channel.close();
        Files.deleteIfExists(own.get());
      }
    }
  }
}
