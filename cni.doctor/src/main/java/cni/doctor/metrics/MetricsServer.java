// SPDX-License-Identifier: Apache-2.0
package cni.doctor.metrics;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.internal.AtomicFiles;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;

/**
 * Serves metrics over HTTP, at {@code /metrics}. The JDK's own HTTP server is not used: it cannot
 * listen on a Unix socket.
 *
 * <p>Bounded: at most eight connections at once, of which each may last five seconds, and one that
 * has sent no request gives way to a new one; a text is served for one second before it is composed
 * again.
 */
public final class MetricsServer implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.doctor");

  private static final int MAX_CONNECTIONS = 8;
  private static final Duration CONNECTION_TIMEOUT = Duration.ofSeconds(5);
  private static final Duration TEXT_LIFETIME = Duration.ofSeconds(1);

  /** The only directory that is created: that of the sockets of this project's programs. */
  private static final Path RUN_DIRECTORY = Path.of("/run/cni");

  private static final Duration ACCEPT_PAUSE = Duration.ofMillis(100);

  private final MetricsAddress address;
  private final ServerSocketChannel listener;
  private final Source source;
  private final ScrapeConnections connections = new ScrapeConnections(MAX_CONNECTIONS);
  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(
          task -> Thread.ofPlatform().daemon().name("cni-metrics-timer").unstarted(task));

  private String text = "";
  private long composed;

  /** What composes the text of the metrics. */
  @FunctionalInterface
  public interface Source {
    /**
     * Returns the text.
     *
     * @throws CniException if the state of the host cannot be read; the scrape then fails
     */
    String text() throws CniException;
  }

  private MetricsServer(MetricsAddress address, ServerSocketChannel listener, Source source) {
    this.address = address;
    this.listener = listener;
    this.source = source;
    this.composed = System.nanoTime() - 2 * TEXT_LIFETIME.toNanos();
  }

  /**
   * Listens, and serves on threads of its own until it is closed.
   *
   * @throws CniException code 4 if another process uses the address, or there is a file that is no
   *     socket, or no directory for it; code 5 if it cannot be listened on
   */
  public static MetricsServer start(MetricsAddress address, Source source) throws CniException {
    try {
      var server = new MetricsServer(address, listen(address), source);
      Thread.ofPlatform().daemon().name("cni-metrics").start(server::acceptAll);
      return server;
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE,
          "metrics cannot be served at " + address + ": " + IoErrors.describe(e),
          e);
    }
  }

  private static ServerSocketChannel listen(MetricsAddress address)
      throws CniException, IOException {
    return switch (address) {
      case MetricsAddress.UnixSocket(Path path) -> listen(path);
      case MetricsAddress.Loopback(InetSocketAddress port) -> {
        ServerSocketChannel channel = ServerSocketChannel.open();
        try {
          yield channel.bind(port);
        } catch (IOException e) {
          channel.close();
          throw e;
        }
      }
    };
  }

  private static ServerSocketChannel listen(Path path) throws CniException, IOException {
    Path directory = Objects.requireNonNull(path.getParent());
    boolean exists = Files.isDirectory(directory);
    if (!exists && directory.equals(RUN_DIRECTORY)) {
      AtomicFiles.createDirectories(directory, "rwxr-xr-x");
    } else if (!exists) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "--metrics %s: there is no directory %s; create it, or use unix:%s"
              .formatted(
                  new MetricsAddress.UnixSocket(path),
                  directory,
                  RUN_DIRECTORY.resolve("metrics.sock")));
    }
    deleteDead(path);
    ServerSocketChannel channel = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      channel.bind(UnixDomainSocketAddress.of(path));
      Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
      return channel;
    } catch (IOException e) {
      channel.close();
      throw e;
    }
  }

  /** Deletes the socket of a process that was killed. */
  private static void deleteDead(Path path) throws CniException, IOException {
    if (Files.notExists(path, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    boolean isSocket =
        Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS).isOther();
    if (!isSocket) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          path + " is not a socket; remove it, or choose another path with --metrics");
    }
    try (SocketChannel _ = SocketChannel.open(UnixDomainSocketAddress.of(path))) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "another process serves " + path + "; choose another path with --metrics");
    } catch (ConnectException e) {
      Files.delete(path); // nothing listens
    }
  }

  /** Returns the address, with the port that was chosen if it was 0. */
  public MetricsAddress address() {
    try {
      return listener.getLocalAddress() instanceof InetSocketAddress port
          ? new MetricsAddress.Loopback(port)
          : address;
    } catch (IOException e) {
      return address; // closed
    }
  }

  private void acceptAll() {
    boolean failing = false;
    while (listener.isOpen()) {
      try {
        serve(listener.accept());
        failing = false;
      } catch (ClosedChannelException e) {
        return;
      } catch (IOException | RuntimeException | OutOfMemoryError e) { // no descriptor, no thread
        if (!failing) {
          LOG.get().log(System.Logger.Level.WARNING, "metrics are not served: " + e.getMessage());
        }
        failing = true;
        pause();
      }
    }
  }

  private static void pause() {
    try {
      Thread.sleep(ACCEPT_PAUSE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void serve(SocketChannel connection) throws IOException {
    if (!connections.admit(connection)) {
      connection.close();
      return;
    }
    boolean started = false;
    try {
      Thread.ofPlatform().daemon().name("cni-metrics-scrape").start(() -> answer(connection));
      started = true;
    } finally {
      if (!started) {
        connections.remove(connection);
        connection.close();
      }
    }
  }

  private void answer(SocketChannel connection) {
    ScheduledFuture<?> timeout =
        timer.schedule(
            () -> ScrapeConnections.close(connection),
            CONNECTION_TIMEOUT.toMillis(),
            TimeUnit.MILLISECONDS);
    try (connection) {
      MetricsRequest request = MetricsRequest.read(connection);
      connections.setAnswering(connection);
      request.answer(connection, this::text);
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "a scrape ended: " + e.getMessage());
    } finally {
      timeout.cancel(false);
      connections.remove(connection);
    }
  }

  /** Returns the text: that of the last scrape, if it is not older than a second. */
  private synchronized String text() throws CniException {
    if (System.nanoTime() - composed > TEXT_LIFETIME.toNanos()) {
      text = source.text();
      composed = System.nanoTime();
    }
    return text;
  }

  /** Stops serving, and deletes the socket's file. */
  @Override
  public void close() {
    try {
      listener.close();
      if (address instanceof MetricsAddress.UnixSocket(Path path)) {
        Files.deleteIfExists(path);
      }
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.WARNING, address + " stays: " + IoErrors.describe(e));
    } finally {
      timer.shutdownNow();
    }
  }
}
