// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.Deadline;
import java.io.IOException;
import java.net.InetAddress;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** The client side of DHCP or DHCPv6, on one interface. */
interface DhcpClient extends AutoCloseable {
  /**
   * Acquires addresses from any server, with retransmissions until the deadline.
   *
   * @param preferred the addresses of an earlier lease to ask for; may be empty
   * @throws CniException code 11 if no server grants any by the deadline
   * @throws IOException if the interface cannot be used
   */
  Binding acquire(List<InetAddress> preferred, Deadline deadline) throws CniException, IOException;

  /**
   * Renews or rebinds a lease with one message.
   *
   * @param anyServer whether to send the message to all servers (rebind) or to the one that granted
   *     the lease (renew)
   * @param timeout how long to wait for the reply
   * @return absent if there was no reply
   * @throws LeaseRefusedException if the server refused
   * @throws IOException if the interface cannot be used
   */
  Optional<Binding> renew(Binding binding, boolean anyServer, Duration timeout) throws IOException;

  /**
   * Releases a lease at the server.
   *
   * @throws IOException if the interface cannot be used
   */
  void release(Binding binding) throws IOException;

  @Override
  void close();
}
