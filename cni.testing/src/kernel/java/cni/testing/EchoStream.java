// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.netlink.ffm.netns.NetNs;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * An established TCP connection over which a client sends consecutive numbers, one per millisecond,
 * and a server returns them. Counts what comes back and measures the longest stall.
 */
final class EchoStream implements AutoCloseable {
  private static final Duration INTERVAL = Duration.ofMillis(1);
  private static final Duration TIMEOUT = Duration.ofSeconds(20);
  private static final Duration CUT_TIMEOUT = Duration.ofSeconds(20);

  /** The time without a byte after which a stream counts as cut: longer than TCP's minimal RTO. */
  private static final Duration CUT_SILENCE = Duration.ofSeconds(5);

  private final InetSocketAddress target;
  private final SocketChannel client;
  private final Socket server;
  private final List<Thread> threads = new ArrayList<>();
  private final AtomicLong sent = new AtomicLong();
  private final AtomicLong received = new AtomicLong();
  private final CountDownLatch first = new CountDownLatch(1);
  private final CountDownLatch ended = new CountDownLatch(1);
  private volatile long lastArrival = System.nanoTime();
  private volatile long longestStall;
  private volatile boolean stopped;
  private volatile @Nullable String failure;

  private EchoStream(InetSocketAddress target, SocketChannel client, Socket server) {
    this.target = target;
    this.client = client;
    this.server = server;
  }

  /**
   * Connects to a server and waits until the first number has come back.
   *
   * @param target port 0 stands for the listener's port
   * @param listener stays open
   * @throws AssertionError if there is no connection
   */
  static EchoStream start(NetNs clientNetns, InetSocketAddress target, ServerSocket listener)
      throws IOException {
    int port = target.getPort() == 0 ? listener.getLocalPort() : target.getPort();
    var connected = new InetSocketAddress(target.getAddress(), port);
    SocketChannel client = clientNetns.<SocketChannel, IOException>call(() -> SocketChannel.open());
    try {
      client.socket().connect(connected, (int) TIMEOUT.toMillis());
      client.setOption(StandardSocketOptions.TCP_NODELAY, true);
      listener.setSoTimeout((int) TIMEOUT.toMillis());
      var stream = new EchoStream(connected, client, listener.accept());
      stream.run();
      return stream;
    } catch (IOException | AssertionError e) {
      client.close();
      throw new AssertionError("no connection to " + connected + " from " + clientNetns, e);
    }
  }

  private void run() throws IOException {
    server.setTcpNoDelay(true);
    threads.add(Thread.ofPlatform().daemon().start(this::echo));
    threads.add(Thread.ofPlatform().daemon().start(this::send));
    threads.add(Thread.ofPlatform().daemon().start(this::receive));
    if (!await(first)) {
      close();
      throw new AssertionError("nothing comes back from " + target);
    }
  }

  private void echo() {
    try (server) {
      server.getInputStream().transferTo(server.getOutputStream());
    } catch (IOException e) {
      failure = "the server's connection failed: " + e.getMessage();
    }
  }

  private void send() {
    var number = ByteBuffer.allocate(Long.BYTES);
    try {
      while (!stopped) {
        number.clear().putLong(sent.get()).flip();
        while (number.hasRemaining()) {
          client.write(number);
        }
        sent.incrementAndGet();
        LockSupport.parkNanos(INTERVAL.toNanos());
      }
      client.shutdownOutput();
    } catch (IOException e) {
      failure = "the client's connection failed: " + e.getMessage();
    }
  }

  private void receive() {
    try {
      var input = new DataInputStream(new BufferedInputStream(client.socket().getInputStream()));
      while (true) {
        long number = input.readLong();
        noteArrival();
        if (number != received.getAndIncrement()) {
          failure = "number %d came back as %d".formatted(received.get() - 1, number);
        }
        first.countDown();
      }
    } catch (EOFException e) {
      noteArrival();
    } catch (IOException e) {
      failure = "the client's connection failed: " + e.getMessage();
    }
    ended.countDown();
  }

  private void noteArrival() {
    long now = System.nanoTime();
    longestStall = Math.max(longestStall, now - lastArrival);
    lastArrival = now;
  }

  /** Ends the stream and returns what was lost or took too long; empty if nothing. */
  List<String> losses(Duration maxStall) {
    stopped = true;
    boolean complete = await(ended);
    String problem = failure;
    List<String> losses = new ArrayList<>();
    if (problem != null) {
      losses.add("stream to %s: %s".formatted(target, problem));
    }
    if (!complete || received.get() != sent.get()) {
      losses.add(
          "stream to %s: %d of %d numbers came back".formatted(target, received.get(), sent.get()));
    }
    long stall = Math.max(longestStall, complete ? 0 : System.nanoTime() - lastArrival);
    if (stall > maxStall.toNanos()) {
      losses.add(
          "stream to %s: stalled for %d ms".formatted(target, Duration.ofNanos(stall).toMillis()));
    }
    return losses;
  }

  /** Returns whether the connection has ended or nothing arrives any longer; waits for it. */
  boolean isCut() {
    long end = System.nanoTime() + CUT_TIMEOUT.toNanos();
    while (System.nanoTime() < end) {
      if (ended.getCount() == 0 || System.nanoTime() - lastArrival > CUT_SILENCE.toNanos()) {
        return true;
      }
      LockSupport.parkNanos(INTERVAL.toNanos());
    }
    return false;
  }

  private static boolean await(CountDownLatch latch) {
    try {
      return latch.await(TIMEOUT.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  @Override
  public void close() {
    stopped = true;
    try {
      client.close();
      server.close();
      for (Thread thread : threads) {
        thread.join();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public String toString() {
    return "stream to %s with %d numbers".formatted(target, received.get());
  }
}
