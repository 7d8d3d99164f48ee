// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.Json;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.api.internal.LazyLogger;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The leases that a daemon keeps, of this project or of the reference. The protocol is the
 * reference's: Go's net/rpc over a Unix socket, which starts with an HTTP CONNECT.
 *
 * @param socket the path of the daemon's socket
 */
record DaemonLeases(Path socket) implements Leases {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  static final String ALLOCATE = "DHCP.Allocate";
  static final String RELEASE = "DHCP.Release";

  /** Supported by this project's daemon only, as the following. */
  static final String COLLECT = "DHCP.Collect";

  static final String FIND = "DHCP.Find";

  /** The configuration has the previous result. */
  static final String REACQUIRE = "DHCP.Reacquire";

  /** The configuration has only the families to drop. */
  static final String DROP = "DHCP.Drop";

  static final String PREV_RESULT = "prevResult";

  static final String CONNECT_REQUEST = "CONNECT /_goRPC_ HTTP/1.0";
  static final String CONNECT_RESPONSE = "HTTP/1.0 200 Connected to Go RPC";

  /** How long DEL waits for the daemon, which may have to retry its message to the server. */
  private static final Duration RELEASE_TIMEOUT = Duration.ofSeconds(20);

  /** Bounds the lines of the HTTP exchange. */
  private static final int MAX_LINE_LENGTH = 1024;

  @Override
  public Result allocate(AttachmentRequest request) throws CniException {
    request.requireNamespace();
    try {
      return GobResult.read(
          call(
              ALLOCATE,
              cmdArgs(request.attachment(), request.config().json()),
              request.context().deadline()));
    } catch (IOException e) {
      throw unreachable(e);
    }
  }

  /**
   * {@inheritDoc}
   *
   * <p>The reference's daemon can only allocate: it returns the lease if it has it, otherwise it
   * acquires one, as for the reference plugin's CHECK.
   */
  @Override
  public Result find(AttachmentRequest request, List<String> missing) throws CniException {
    Result found;
    try {
      found =
          GobResult.read(
              call(
                  FIND,
                  cmdArgs(request.attachment(), request.config().json()),
                  request.context().deadline()));
    } catch (IOException e) {
      throw unreachable(e);
    } catch (CniException e) {
      if (!isUnknownMethod(e)) {
        throw e;
      }
      return allocate(request);
    }
    for (DhcpFamily family : DhcpConfig.parse(request.config()).families()) {
      if (found.ips().stream().noneMatch(ip -> family.hasAddress(ip.address().address()))) {
        missing.add(family.describeMissing(request.attachment().id()));
      }
    }
    return found;
  }

  @Override
  public void reacquire(AttachmentRequest request) throws CniException {
    request.requireNamespace();
    ObjectNode config = Json.object();
    config.setAll(request.config().json());
    config.set(PREV_RESULT, ResultJson.write(request.requirePrevResult(), SpecVersion.CURRENT));
    try {
      call(REACQUIRE, cmdArgs(request.attachment(), config), request.context().deadline());
    } catch (IOException e) {
      throw unreachable(e);
    }
  }

  @Override
  public void drop(AttachmentRequest request, List<DhcpFamily> families) throws CniException {
    ObjectNode config = request.config().json().deepCopy();
    ArrayNode names = config.withObject("ipam").putArray("families");
    families.forEach(it -> names.add(it.text()));
    try {
      call(DROP, cmdArgs(request.attachment(), config), Deadline.after(RELEASE_TIMEOUT));
    } catch (IOException e) {
      throw unreachable(e);
    }
  }

  /** Returns whether the daemon is the reference's, and does not support a method. */
  private static boolean isUnknownMethod(CniException e) {
    return e.getMessage().contains("can't find method");
  }

  /** Succeeds without a daemon, because then nothing renews the lease and it expires. */
  @Override
  public boolean release(AttachmentRequest request) throws CniException {
    try {
      Deadline deadline = Deadline.after(RELEASE_TIMEOUT);
      call(RELEASE, cmdArgs(request.attachment(), request.config().json()), deadline);
      return true;
    } catch (IOException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "no dhcp daemon answers at "
                  + socket
                  + "; the lease is not released: "
                  + e.getMessage());
      return false;
    }
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    ObjectNode config = Json.object();
    config.setAll(request.config().json());
    ArrayNode valid = config.putArray(GcRequest.VALID_ATTACHMENTS.getFirst());
    request
        .valid()
        .forEach(
            it ->
                valid
                    .addObject()
                    .put("containerID", it.containerId())
                    .put("ifname", it.interfaceName()));
    try {
      call(COLLECT, Map.of("StdinData", Json.bytes(config)), request.context().deadline());
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "no dhcp daemon answers at " + socket, e);
    } catch (CniException e) {
      if (!isUnknownMethod(e)) {
        throw e;
      }
    }
  }

  private CniException unreachable(IOException e) {
    return new CniException(
        ErrorCode.TRY_AGAIN_LATER,
        "dhcp: a plugin executable needs a daemon that renews its leases, and none answers at "
            + socket
            + "; start \"cni dhcp daemon\", or set ipam.daemonSocketPath to the socket of one: "
            + e.getMessage(),
        e);
  }

  /** Whether a daemon accepts connections. */
  boolean isReachable() {
    if (Files.notExists(socket)) {
      return false;
    }
    try (SocketChannel channel = connect()) {
      return channel.isConnected();
    } catch (IOException e) {
      return false;
    }
  }

  private static Map<String, Object> cmdArgs(Attachment attachment, ObjectNode config)
      throws CniException {
    Map<String, Object> arguments = new LinkedHashMap<>();
    arguments.put("ContainerID", attachment.containerId());
    arguments.put(
        "Netns", attachment.namespace().map(it -> it.toAbsolutePath().toString()).orElse(""));
    arguments.put("IfName", attachment.interfaceName());
    arguments.put("Args", attachment.args().text());
    arguments.put("StdinData", Json.bytes(config));
    return arguments;
  }

  private SocketChannel connect() throws IOException {
    SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      channel.connect(UnixDomainSocketAddress.of(socket));
      return channel;
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e instanceof IOException io ? io : new IOException(e);
    }
  }

  /**
   * Calls a method of the daemon.
   *
   * @throws CniException code 11 with the error that the daemon reports
   * @throws IOException if there is no daemon, or it does not reply by the deadline
   */
  private Map<String, Object> call(String method, Map<String, Object> arguments, Deadline deadline)
      throws CniException, IOException {
    try (SocketChannel channel = connect()) {
      Thread watchdog = Thread.ofVirtual().start(() -> closeAtDeadline(channel, deadline));
      try {
        return call(method, arguments, channel);
      } finally {
        watchdog.interrupt();
      }
    }
  }

  /** Closes the channel at the deadline, which makes pending reads fail. */
  private static void closeAtDeadline(SocketChannel channel, Deadline deadline) {
    try {
      Thread.sleep(deadline.remaining());
      channel.close();
    } catch (InterruptedException e) {
      return; // the call is complete
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "closing the connection to the dhcp daemon", e);
    }
  }

  private Map<String, Object> call(
      String method, Map<String, Object> arguments, SocketChannel channel)
      throws CniException, IOException {
    InputStream in = Channels.newInputStream(channel);
    OutputStream out = Channels.newOutputStream(channel);
    out.write((CONNECT_REQUEST + "\n\n").getBytes(StandardCharsets.US_ASCII));
    String response = readLine(in);
    if (!response.equals(CONNECT_RESPONSE) || !readLine(in).isEmpty()) {
      throw new IOException(socket + " is not the socket of a dhcp daemon: " + response);
    }
    var writer = new GobWriter(out);
    writer.write(GobSchema.REQUEST, Map.of("ServiceMethod", method, "Seq", 1L));
    writer.write(GobSchema.CMD_ARGS, arguments);
    var reader = new GobReader(in);
    Object error = reader.read().getOrDefault("Error", "");
    Map<String, Object> reply = reader.read();
    if (!error.equals("")) {
      throw new CniException(
          ErrorCode.TRY_AGAIN_LATER, "the dhcp daemon at " + socket + " reports: " + error);
    }
    return reply;
  }

  /** Reads a line of the HTTP exchange, without its terminator. */
  static String readLine(InputStream in) throws IOException {
    var line = new StringBuilder();
    int c = in.read();
    while (c != '\n' && c >= 0 && line.length() < MAX_LINE_LENGTH) {
      line.append((char) c);
      c = in.read();
    }
    return line.toString().replace("\r", "");
  }
}
