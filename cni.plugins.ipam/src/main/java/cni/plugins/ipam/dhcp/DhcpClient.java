package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.Deadline;
import java.io.IOException;
import java.net.InetAddress;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** One side of the conversation with the servers of a network, in one of the two protocols. */
interface DhcpClient extends AutoCloseable {
  /**
   * Asks every server for addresses, again and again with growing pauses.
   *
   * @param wish those that it had before, if any
   * @throws CniException code 11 if no server has granted any by the deadline
   * @throws IOException if the interface cannot be used
   */
  Binding acquire(List<InetAddress> wish, Deadline deadline) throws CniException, IOException;

  /**
   * Asks once for more time.
   *
   * @param anyServer whether every server is asked, or the one that granted it
   * @param patience how long to wait for an answer
   * @return empty if there was none
   * @throws LeaseRefusedException if the answer was no
   * @throws IOException if the interface cannot be used
   */
  Optional<Binding> renew(Binding binding, boolean anyServer, Duration patience) throws IOException;

  /**
   * Tells the server that the addresses are not needed any more.
   *
   * @throws IOException if the interface cannot be used
   */
  void release(Binding binding) throws IOException;

  @Override
  void close();
}
