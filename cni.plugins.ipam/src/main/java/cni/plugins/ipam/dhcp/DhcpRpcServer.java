// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import static java.lang.System.Logger.Level.ERROR;
import static java.lang.System.Logger.Level.TRACE;
import static java.lang.System.Logger.Level.WARNING;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.Json;
import cni.api.PluginConfig;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.api.internal.LazyLogger;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;

/**
 * The server side of the daemon's protocol, for plugin executables of this project and of the
 * reference: Go's net/rpc over a Unix socket.
 */
final class DhcpRpcServer {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  private static final long ACCEPT_RETRY_NANOS = 1_000_000_000;

  /** How long the end of the server waits for requests, which it interrupts. */
  private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(10);

  private final LocalLeases leases;

  /** The threads that serve a connection each. */
  private final Set<Thread> connections = ConcurrentHashMap.newKeySet();

  /**
   * Creates the server.
   *
   * @param leases the leases that the daemon keeps
   */
  DhcpRpcServer(LocalLeases leases) {
    this.leases = leases;
  }

  /**
   * Accepts and serves connections until the thread is interrupted, then ends all of them. The
   * listener stays open, and the interrupt status is set. A connection that cannot be accepted is
   * logged.
   *
   * @throws IOException if the listener cannot be waited for
   */
  void serve(ServerSocketChannel listener) throws IOException {
    // An interrupt wakes up a selector; it would close the listener in a blocking accept.
    listener.configureBlocking(false);
    try (Selector selector = Selector.open()) {
      listener.register(selector, SelectionKey.OP_ACCEPT);
      while (!Thread.currentThread().isInterrupted()) {
        selector.select(_ -> accept(listener));
      }
    } finally {
      endConnections();
    }
  }

  private void accept(ServerSocketChannel listener) {
    try {
      SocketChannel peer = listener.accept();
      if (peer != null) { // null if another process, which shares the socket, was faster
        start(peer);
      }
    } catch (IOException e) { // such as too many open files, which is temporary
      LOG.get().log(WARNING, "a connection to the dhcp daemon cannot be accepted", e);
      LockSupport.parkNanos(ACCEPT_RETRY_NANOS);
    }
  }

  private void start(SocketChannel peer) throws IOException {
    Thread thread =
        Thread.ofPlatform().daemon().name("cni-dhcp-client").unstarted(() -> serve(peer));
    connections.add(thread);
    try {
      thread.start();
    } catch (OutOfMemoryError e) { // the thread could not be created
      connections.remove(thread);
      peer.close();
      throw new IOException(e);
    }
  }

  private void endConnections() {
    connections.forEach(Thread::interrupt); // which also closes the connections
    boolean interrupted = Thread.interrupted();
    long end = System.nanoTime() + CLOSE_TIMEOUT.toNanos();
    for (Thread it : connections) {
      interrupted |= join(it, end);
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Waits for the end of a thread, and returns whether this thread was interrupted meanwhile. */
  private static boolean join(Thread thread, long end) {
    boolean interrupted = false;
    for (long left = end - System.nanoTime();
        left > 0 && thread.isAlive();
        left = end - System.nanoTime()) {
      try {
        boolean _ = thread.join(Duration.ofNanos(left));
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    return interrupted;
  }

  private void serve(SocketChannel peer) {
    try (peer) {
      InputStream in = Channels.newInputStream(peer);
      OutputStream out = Channels.newOutputStream(peer);
      String request = DaemonLeases.readLine(in);
      if (request.isEmpty()) {
        return; // the client has closed the connection: DaemonLeases.isReachable
      }
      boolean connect = request.startsWith("CONNECT /_goRPC_ HTTP/");
      String header = DaemonLeases.readLine(in);
      while (!header.isEmpty()) {
        header = DaemonLeases.readLine(in);
      }
      if (!connect) {
        out.write("HTTP/1.0 405 must CONNECT\n\n".getBytes(StandardCharsets.US_ASCII));
        return;
      }
      out.write((DaemonLeases.CONNECT_RESPONSE + "\n\n").getBytes(StandardCharsets.US_ASCII));
      var reader = new GobReader(in);
      var writer = new GobWriter(out);
      while (true) {
        serve(reader.read(), reader.read(), writer);
      }
    } catch (EOFException | ClosedByInterruptException e) {
      LOG.get().log(TRACE, "the client has closed the connection, or the daemon ends", e);
    } catch (IOException | RuntimeException e) {
      LOG.get().log(WARNING, "a connection to the dhcp daemon failed: " + e, e);
    } finally {
      connections.remove(Thread.currentThread());
    }
  }

  private void serve(Map<String, Object> request, Map<String, Object> arguments, GobWriter writer)
      throws IOException {
    String method = String.valueOf(request.getOrDefault("ServiceMethod", ""));
    long sequence = request.get("Seq") instanceof Long it ? it : 0;
    GobType.Struct type = GobSchema.EMPTY;
    Map<String, Object> reply = Map.of();
    String error = "";
    try {
      switch (method) {
        case DaemonLeases.ALLOCATE -> {
          reply = GobResult.write(leases.allocate(allocateRequest(arguments)));
          type = GobSchema.RESULT;
        }
        case DaemonLeases.FIND -> {
          reply = GobResult.write(leases.find(allocateRequest(arguments), new ArrayList<>()));
          type = GobSchema.RESULT;
        }
        case DaemonLeases.REACQUIRE -> leases.reacquire(reacquireRequest(arguments));
        case DaemonLeases.DROP -> drop(releaseRequest(arguments));
        case DaemonLeases.RELEASE -> leases.release(releaseRequest(arguments));
        case DaemonLeases.COLLECT -> leases.gc(gcRequest(arguments));
        default -> error = "rpc: can't find method " + method;
      }
    } catch (CniException e) {
      error = e.getMessage();
    } catch (RuntimeException e) {
      LOG.get().log(ERROR, "serving " + method, e);
      error = "unexpected " + e;
    }
    writer.write(
        GobSchema.RESPONSE, Map.of("ServiceMethod", method, "Seq", sequence, "Error", error));
    writer.write(type, reply);
  }

  private void drop(AttachmentRequest request) throws CniException {
    leases.drop(request, DhcpConfig.parse(request.config()).families());
  }

  /** Ignores CNI_ARGS, which a release does not need: invalid ones must not prevent it. */
  private static AttachmentRequest releaseRequest(Map<String, Object> arguments)
      throws CniException {
    return request(arguments, CniArgs.NONE);
  }

  private static AttachmentRequest allocateRequest(Map<String, Object> arguments)
      throws CniException {
    return request(arguments, CniArgs.ofText(text(arguments, "Args")));
  }

  private static AttachmentRequest reacquireRequest(Map<String, Object> arguments)
      throws CniException {
    AttachmentRequest request = allocateRequest(arguments);
    return new AttachmentRequest(
        request.config(),
        request.attachment(),
        ResultJson.readFrom(request.config().view(), DaemonLeases.PREV_RESULT, SpecVersion.CURRENT),
        request.context());
  }

  private static AttachmentRequest request(Map<String, Object> arguments, CniArgs args)
      throws CniException {
    var id = new AttachmentId(text(arguments, "ContainerID"), text(arguments, "IfName"));
    Attachment.requireValid(id);
    String namespace = text(arguments, "Netns");
    return new AttachmentRequest(
        config(arguments),
        new Attachment(
            id,
            namespace.isEmpty() ? Optional.empty() : Optional.of(namespacePath(namespace)),
            args,
            Map.of()),
        Optional.empty(),
        context());
  }

  private static Path namespacePath(String namespace) throws CniException {
    try {
      return Path.of(namespace);
    } catch (InvalidPathException e) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER, "CNI_NETNS " + Json.quote(namespace) + " is not a path", e);
    }
  }

  private static GcRequest gcRequest(Map<String, Object> arguments) throws CniException {
    PluginConfig config = config(arguments);
    Set<AttachmentId> valid = new HashSet<>();
    for (ConfigObject it : config.view().objects(GcRequest.VALID_ATTACHMENTS.getFirst())) {
      valid.add(new AttachmentId(it.text("containerID").orElse(""), it.text("ifname").orElse("")));
    }
    return new GcRequest(config, valid, context());
  }

  private static CallContext context() {
    return new CallContext(
        Optional.empty(),
        Deadline.none(),
        type -> {
          throw new CniException(ErrorCode.INTERNAL, "dhcp has no delegates");
        });
  }

  private static PluginConfig config(Map<String, Object> arguments) throws CniException {
    byte[] json = arguments.get("StdinData") instanceof byte[] it ? it : new byte[0];
    return PluginConfig.of(new ConfigObject(Json.parse(json, "StdinData"), ""));
  }

  private static String text(Map<String, Object> arguments, String key) {
    return String.valueOf(arguments.getOrDefault(key, ""));
  }
}
