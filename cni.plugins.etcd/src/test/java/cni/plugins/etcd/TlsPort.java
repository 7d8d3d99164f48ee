// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.plugins.etcd.EtcdClusterOptions.PemIdentity;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.file.Path;
import java.util.List;

/** A TLS server (openssl s_server) on a port of 127.0.0.1, which answers no HTTP. */
final class TlsPort implements AutoCloseable {
  private static final int ATTEMPTS = 100;

  private final int port = FreePorts.find(1).getFirst();
  private final ServerProcess process;

  TlsPort(PemIdentity identity, Path directory) throws IOException, InterruptedException {
    process =
        ServerProcess.start(
            List.of(),
            List.of(
                "openssl",
                "s_server",
                "-quiet",
                "-accept",
                "127.0.0.1:" + port,
                "-cert",
                identity.certificate().toString(),
                "-key",
                identity.key().toString()),
            directory.resolve("s_server.log"));
    for (int i = 0; !isListening(); i++) {
      if (i == ATTEMPTS) {
        process.kill();
        throw new IOException("openssl s_server does not listen");
      }
      Thread.sleep(50);
    }
  }

  private boolean isListening() {
    try (var socket = new Socket()) {
      socket.connect(new InetSocketAddress(InetAddress.ofLiteral("127.0.0.1"), port));
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  String url() {
    return "https://127.0.0.1:" + port;
  }

  @Override
  public void close() {
    process.kill();
  }
}
