// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import cni.daemon.HostProtocol.Frame;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.unix.SocketPoller;
import cni.netlink.ffm.unix.UnixConnection;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * The connection of a caller. The server's thread receives the request; then a worker serves it,
 * and the server's thread only watches whether the caller goes away.
 */
final class CallerConnection implements AutoCloseable {
  /** The exit status of a call that ended with an exception, which is a bug of the handler. */
  private static final int UNEXPECTED = 1;

  /** Code between may have consumed an interrupt. */
  static final Duration INTERRUPT_INTERVAL = Duration.ofMillis(200);

  /** Standard output is sent with the exit status unless it is larger. */
  private static final int OUTPUT_BUFFER = 64 << 10;

  private final long number;
  private final UnixConnection socket;
  private final RequestReader reader = new RequestReader();
  private final long opened = System.nanoTime();
  private final BufferedOutput output = new BufferedOutput();

  // Guarded by this.
  private @Nullable Thread worker;
  private boolean withdrawn;
  private long lastInterrupt = System.nanoTime() - INTERRUPT_INTERVAL.toNanos();

  CallerConnection(long number, UnixConnection socket) {
    this.number = number;
    this.socket = socket;
  }

  long number() {
    return number;
  }

  /** Returns when the connection was accepted, on the clock of {@link System#nanoTime}. */
  long opened() {
    return opened;
  }

  /** Starts to watch for the request. */
  void watch(SocketPoller poller) throws KernelException {
    poller.add(socket, number);
  }

  /** Receives what is there; returns whether the request is complete, or too large. */
  boolean receive(MemorySegment buffer) throws IOException {
    return reader.receive(socket, buffer);
  }

  /** Returns how many bytes of the request have been received. */
  int receivedBytes() {
    return reader.length();
  }

  /** Returns whether the request is too large, and has not been received to its end. */
  boolean isTooLarge() {
    return reader.isTooLarge();
  }

  ReceivedRequest request(FileIdentity hostNamespace) throws IOException {
    return reader.request(hostNamespace);
  }

  /** Requests the caller to serve the request itself, as it also does if the connection ends. */
  void refuse(String reason) {
    try {
      socket.send(Frame.REFUSED.bytes(reason), HostProtocol.SEND_TIMEOUT);
    } catch (KernelException e) {
      return; // closing the connection says the same
    }
  }

  /**
   * Notifies the caller that the request will be served, and from now on only watches it.
   *
   * @throws KernelException if the caller has gone; the request must not be served then
   */
  void accept(SocketPoller poller) throws KernelException {
    poller.watchHangUp(socket, number);
    socket.send(Frame.ACCEPTED.bytes(), HostProtocol.SEND_TIMEOUT);
  }

  /**
   * Interrupts the call, if it has begun, or keeps it from beginning. To be called repeatedly until
   * the call has ended; it is interrupted every 200 ms.
   */
  synchronized void withdraw() {
    withdrawn = true;
    long now = System.nanoTime();
    if (worker != null && now - lastInterrupt >= INTERRUPT_INTERVAL.toNanos()) {
      lastInterrupt = now;
      worker.interrupt();
    }
  }

  synchronized boolean isWithdrawn() {
    return withdrawn;
  }

  private synchronized boolean begin() {
    if (!withdrawn) {
      worker = Thread.currentThread();
    }
    return !withdrawn;
  }

  /** Afterwards the thread is not interrupted on behalf of this call any more. */
  private synchronized void end() {
    worker = null;
    boolean _ = Thread.interrupted();
  }

  /** Serves the request; returns its exit status, or nothing if the caller has gone before. */
  OptionalInt serve(CallerRequest request, RequestHandler handler) {
    if (!begin()) {
      return OptionalInt.empty();
    }
    try (var out = new PrintStream(output, false, StandardCharsets.UTF_8);
        var err = new PrintStream(new FrameStream(Frame.ERR), true, StandardCharsets.UTF_8)) {
      return OptionalInt.of(serve(request, handler, out, err));
    }
  }

  /** Sends what is left of the output and the exit status. */
  void answer(int status) {
    try {
      socket.send(Frame.exit(output.rest(), status), HostProtocol.SEND_TIMEOUT);
    } catch (KernelException e) {
      return; // the caller has gone
    }
  }

  private int serve(
      CallerRequest request, RequestHandler handler, PrintStream out, PrintStream err) {
    try {
      return handler.handle(request, out, err);
    } catch (RuntimeException | Error e) {
      err.println("cni: unexpected " + e);
      return UNEXPECTED;
    } finally {
      end();
    }
  }

  /** Sends what is written to it in frames. */
  private final class FrameStream extends OutputStream {
    private final Frame type;

    /** Set after a failure: the caller does not receive any more, and each attempt would wait. */
    private boolean broken;

    FrameStream(Frame type) {
      this.type = type;
    }

    @Override
    public void write(int value) throws IOException {
      write(new byte[] {(byte) value}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      if (broken) {
        return;
      }
      byte[] payload = Arrays.copyOfRange(bytes, offset, offset + length);
      broken = true;
      socket.send(type.bytes(payload), HostProtocol.SEND_TIMEOUT);
      broken = false;
    }
  }

  /** Collects standard output, so that it can be sent together with the exit status. */
  private final class BufferedOutput extends OutputStream {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    @Override
    public void write(int value) {
      bytes.write(value);
    }

    @Override
    public void write(byte[] source, int offset, int length) throws IOException {
      bytes.write(source, offset, length);
      if (bytes.size() > OUTPUT_BUFFER) {
        socket.send(Frame.OUT.bytes(rest()), HostProtocol.SEND_TIMEOUT);
      }
    }

    /** Returns what has not been sent yet. */
    byte[] rest() {
      byte[] rest = bytes.toByteArray();
      bytes.reset();
      return rest;
    }
  }

  /** Closes the connection and the descriptors that came by it. */
  @Override
  public void close() {
    reader.close();
    socket.close();
  }
}
