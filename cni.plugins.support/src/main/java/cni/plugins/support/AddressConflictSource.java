// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.CniException;
import cni.api.EventSource;
import cni.api.PluginHost;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.packet.ArpSocket;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;

/**
 * Events about IPv4 addresses of attachments that another host on the network uses. The kernel has
 * no such detection for IPv4; this one is passive (RFC 5227 section 2.4): it sends nothing.
 *
 * <p>It is a source of its own so that without CAP_NET_RAW only these events are missing.
 */
public final class AddressConflictSource implements EventSource {
  private static final int ALL_LINKS = 0;

  /** Creates the source, for the service loader. */
  public AddressConflictSource() {}

  @Override
  public Closeable open(PluginHost host) throws CniException {
    try {
      requirePacketSockets(host.hostNamespace());
      return ConflictMonitor.start(host);
    } catch (IOException e) {
      throw NetNsSession.failure("watching for conflicts of IPv4 addresses", e);
    }
  }

  /** Fails now, rather than at the first attachment, if packet sockets cannot be opened. */
  private static void requirePacketSockets(Optional<Path> hostNamespace) throws IOException {
    try (NetNs host =
        hostNamespace.isPresent() ? NetNs.open(hostNamespace.get()) : NetNs.current()) {
      ArpSocket.open(host, ALL_LINKS, Set.of()).close();
    }
  }
}
