// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import java.io.IOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Searches for free TCP ports of 127.0.0.1. Those that the kernel assigns to connections (from
 * 32768 by default) are avoided: such a port may be taken while the member that listens on it is
 * killed, and a client that connects to it may even connect to itself.
 */
final class FreePorts {
  private static final int MIN_PORT = 12_000;
  private static final int MAX_PORT = 32_000;
  private static final int MAX_ATTEMPTS = 1000;

  private FreePorts() {}

  /** Returns distinct ports that are free at the moment. */
  static List<Integer> find(int count) throws IOException {
    List<ServerSocket> sockets = new ArrayList<>();
    try {
      for (int attempt = 0; sockets.size() < count; attempt++) {
        if (attempt == MAX_ATTEMPTS) {
          throw new IOException("no free ports");
        }
        try {
          sockets.add(bind(ThreadLocalRandom.current().nextInt(MIN_PORT, MAX_PORT)));
        } catch (BindException e) {
          // The port is in use.
        }
      }
      return sockets.stream().map(ServerSocket::getLocalPort).toList();
    } finally {
      for (ServerSocket socket : sockets) {
        socket.close();
      }
    }
  }

  private static ServerSocket bind(int port) throws IOException {
    return new ServerSocket(port, 1, InetAddress.ofLiteral("127.0.0.1"));
  }
}
