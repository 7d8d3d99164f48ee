// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm;

import java.time.Duration;

/**
 * The base of the clients of one netlink protocol: a socket that belongs to the network namespace
 * it was opened in. Any thread may use it.
 */
public abstract class NetlinkClient implements AutoCloseable {
  /** Bounds the wait for a response, which usually arrives immediately. */
  private static final Duration RESPONSE_TIMEOUT = Duration.ofSeconds(10);

  /** Sends the requests. */
  protected final NetlinkSocket socket;

  /**
   * Opens a socket in the network namespace of the calling thread.
   *
   * @param protocol such as {@link NetlinkConstants#NETLINK_ROUTE}
   * @throws KernelException if the socket cannot be opened; EPROTONOSUPPORT if the kernel does not
   *     have the protocol
   */
  protected NetlinkClient(int protocol) throws KernelException {
    socket = NetlinkSocket.open(protocol, RESPONSE_TIMEOUT);
  }

  /**
   * Returns whether every exchange so far has been received completely; see {@link
   * NetlinkSocket#isReusable}.
   */
  public final boolean isReusable() {
    return socket.isReusable();
  }

  @Override
  public final void close() {
    socket.close();
  }
}
