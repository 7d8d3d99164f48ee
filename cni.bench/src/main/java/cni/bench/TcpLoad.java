// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.concurrent.atomic.AtomicLong;

/**
 * TCP connections from one network namespace to another.
 *
 * @param address where the server listens
 */
record TcpLoad(NetNs client, NetNs server, InetSocketAddress address) {
  private static final int BUFFER = 1 << 17;
  private static final double NANOS_PER_SECOND = 1e9;

  static TcpLoad of(NetNs client, NetNs server, InetAddress address, int port) {
    return new TcpLoad(client, server, new InetSocketAddress(address, port));
  }

  /** Sends for some time over one connection, and returns how many bytes arrived per second. */
  double stream(long nanos) throws IOException, InterruptedException {
    var received = new AtomicLong();
    try (ServerSocketChannel listener = listen();
        SocketChannel sender = connect();
        SocketChannel receiver = listener.accept()) {
      Thread reader = Thread.ofPlatform().start(() -> drain(receiver, received));
      ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER);
      long start = System.nanoTime();
      while (System.nanoTime() - start < nanos) {
        sender.write(buffer.clear());
      }
      sender.shutdownOutput();
      reader.join();
      return received.get() * NANOS_PER_SECOND / (System.nanoTime() - start);
    }
  }

  /**
   * Opens and closes connections one after the other, and returns how many there were per second.
   */
  double connections(long nanos) throws IOException {
    try (ServerSocketChannel listener = listen()) {
      int count = 0;
      long start = System.nanoTime();
      while (System.nanoTime() - start < nanos) {
        try (SocketChannel from = connect();
            SocketChannel to = listener.accept()) {
          from.setOption(StandardSocketOptions.SO_LINGER, 0); // no TIME_WAIT
          count += to.isOpen() ? 1 : 0;
        }
      }
      return count * NANOS_PER_SECOND / (System.nanoTime() - start);
    }
  }

  private static void drain(SocketChannel channel, AtomicLong received) {
    ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER);
    try {
      for (int n = channel.read(buffer); n >= 0; n = channel.read(buffer.clear())) {
        received.addAndGet(n);
      }
    } catch (AsynchronousCloseException e) {
      throw new IllegalStateException("the sender has failed", e);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private ServerSocketChannel listen() throws IOException {
    ServerSocketChannel listener = server.call(ServerSocketChannel::open);
    listener.setOption(StandardSocketOptions.SO_REUSEADDR, true);
    return listener.bind(new InetSocketAddress(address.getPort()));
  }

  private SocketChannel connect() throws IOException {
    SocketChannel channel = client.call(SocketChannel::open);
    channel.connect(address);
    return channel;
  }
}
