// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import java.util.Optional;

/**
 * Selects tracked connections by the port that their first packet was sent to, and optionally by
 * addresses.
 *
 * @param family {@link TableFamily#IP} or {@link TableFamily#IP6}
 * @param protocol the transport protocol, such as {@link RuleBuilder#UDP}
 * @param port the destination port of the first packet
 * @param destination the destination address of the first packet; empty for any
 * @param server what the destination is translated to; empty for anything
 */
public record ConnectionFilter(
    TableFamily family,
    int protocol,
    int port,
    Optional<Bytes> destination,
    Optional<Server> server) {
  /**
   * The address and port that replies come from.
   *
   * @param address the address
   * @param port the port
   */
  public record Server(Bytes address, int port) {}

  /** Returns a filter for all connections to a port. */
  public static ConnectionFilter toPort(TableFamily family, int protocol, int port) {
    return new ConnectionFilter(family, protocol, port, Optional.empty(), Optional.empty());
  }

  /** Returns a filter that requires this destination address as well, if it is present. */
  public ConnectionFilter withDestination(Optional<Bytes> address) {
    return new ConnectionFilter(family, protocol, port, address, server);
  }

  /** Returns a filter that requires this server as well. */
  public ConnectionFilter withServer(Bytes address, int serverPort) {
    var required = Optional.of(new Server(address, serverPort));
    return new ConnectionFilter(family, protocol, port, destination, required);
  }

  /** Returns whether a connection of the filter's family is selected. */
  public boolean matches(TrackedConnection connection) {
    return connection.protocol() == protocol
        && connection.port() == port
        && destination.filter(it -> !it.equals(connection.destination())).isEmpty()
        && server.filter(it -> !isServer(it, connection)).isEmpty();
  }

  private static boolean isServer(Server server, TrackedConnection connection) {
    return server.port() == connection.serverPort() && server.address().equals(connection.server());
  }
}
