// SPDX-License-Identifier: Apache-2.0
package cni.api;

import java.nio.file.Path;

/**
 * An ipam plugin whose addresses are shared by the nodes of a cluster, with what an operator does
 * to them: {@code cni ipam import}, {@code release-node} and {@code resume}.
 */
public interface ClusterAddressRegistry extends AddressRegistry {
  /**
   * Reserves the addresses that host-local has reserved on this host, for the same attachments of
   * this node. May be repeated: what has been imported is left as it is.
   *
   * @param directory host-local's directory of the network, {@code <dataDir>/<network>}
   * @return the number of attachments whose addresses have been imported by this call
   * @throws CniException code 7 if the directory is not one of host-local or an address is in none
   *     of the ranges; code 11 if an address is held by another attachment, or the store is
   *     unreachable. Nothing is imported of an attachment that is refused
   */
  int importReservations(NetworkRequest request, Path directory) throws CniException;

  /**
   * Releases the addresses of all attachments of a node that no longer exists, in all networks of
   * the store.
   *
   * @param node the node's name
   * @param force whether to do so even if the node may be running
   * @return the number of attachments whose addresses have been released
   * @throws CniException code 4 if the node is not known, or is not known to be gone and {@code
   *     force} is false: only in the latter case the message names {@code --force}; code 11 if the
   *     store is unreachable
   */
  int releaseNode(NetworkRequest request, String node, boolean force) throws CniException;

  /**
   * Ends the state in which no address is assigned, because the store was restored from a backup.
   *
   * @param force whether to do so even if nodes have not yet recorded their addresses again
   * @return whether there was such a state
   * @throws CniException code 4 if nodes have not recorded their addresses and {@code force} is
   *     false; the message names them and {@code --force}; code 11 if the store is unreachable
   */
  boolean resume(NetworkRequest request, boolean force) throws CniException;
}
