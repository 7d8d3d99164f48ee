package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.PluginDaemon;
import cni.api.internal.AtomicFiles;
import cni.netlink.ffm.process.SystemdSocket;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** The daemon that keeps the leases of plugin executables: {@code cni dhcp daemon}. */
public final class DhcpDaemon implements PluginDaemon {
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
  public void run(List<String> arguments) throws CniException {
    DhcpDaemonOptions options = DhcpDaemonOptions.parse(arguments);
    Path socket = options.socket();
    try (var manager = new LeaseManager(new LeaseDirectory(options.leases()), event -> {});
        Listener open = listen(socket)) {
      ServerSocketChannel listener = open.channel();
      try {
        manager.adopt();
        writePid(options);
        var leases =
            new LocalLeases(
                manager, options.resendTimeout(), options.resendMax(), options.hostPrefix());
        new DhcpRpcServer(leases).serve(listener);
      } finally {
        if (options.pidFile().isPresent()) {
          Files.deleteIfExists(options.pidFile().get());
        }
      }
    } catch (ClosedByInterruptException e) {
      return; // the thread was interrupted, which ends the daemon
    } catch (IOException e) {
      throw LeaseDirectory.ioFailure("the dhcp daemon at " + socket, e);
    }
  }

  private static void writePid(DhcpDaemonOptions options) throws IOException {
    Optional<Path> file = options.pidFile();
    if (file.isPresent()) {
      Files.writeString(file.get(), "" + ProcessHandle.current().pid());
    }
  }

  /** Returns the socket that systemd passed, or binds one, replacing the file of a dead daemon. */
  private static Listener listen(Path socket) throws CniException, IOException {
    Optional<ServerSocketChannel> inherited = SystemdSocket.listener();
    if (inherited.isPresent()) {
      return new Listener(inherited.get(), Optional.empty());
    }
    Path directory = socket.toAbsolutePath().getParent();
    if (directory != null) {
      AtomicFiles.createDirectories(directory);
    }
    if (Files.exists(socket)) {
      if (new DaemonLeases(socket).isReachable()) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER, "another dhcp daemon answers at " + socket);
      }
      Files.delete(socket);
    }
    ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      listener.bind(UnixDomainSocketAddress.of(socket));
      return new Listener(listener, Optional.of(socket));
    } catch (IOException | RuntimeException e) {
      listener.close();
      throw e;
    }
  }

  /**
   * The listening socket.
   *
   * @param own the socket's file if this process created it, to be deleted on close
   */
  private record Listener(ServerSocketChannel channel, Optional<Path> own)
      implements AutoCloseable {
    @Override
    public void close() throws IOException {
      channel.close();
      if (own.isPresent()) {
        Files.deleteIfExists(own.get());
      }
    }
  }
}
