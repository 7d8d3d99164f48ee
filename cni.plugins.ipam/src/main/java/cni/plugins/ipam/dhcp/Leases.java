// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.GcRequest;
import cni.api.Result;
import java.util.List;

/** Where leases are kept: in this process or in a daemon. */
interface Leases {
  /**
   * Returns the attachment's leases as a result; acquires those that it does not have yet.
   *
   * @throws CniException code 11 if no server grants one in time
   */
  Result allocate(AttachmentRequest request) throws CniException;

  /**
   * Returns the leases that the attachment has, as a result.
   *
   * @param missing receives a finding for each lease that is missing or has expired
   * @throws CniException if that cannot be determined
   */
  Result find(AttachmentRequest request, List<String> missing) throws CniException;

  /**
   * Acquires the leases that {@link #find} does not find, with the addresses of the previous
   * result.
   *
   * @throws CniException code 11 if no server grants them in time, code 5 if servers grant only
   *     other addresses
   */
  void reacquire(AttachmentRequest request) throws CniException;

  /**
   * Drops leases that {@link #reacquire} has acquired. A server is notified unless the interface
   * still has an address of the lease, which another client must not get.
   *
   * @throws CniException if one could not be dropped
   */
  void drop(AttachmentRequest request, List<DhcpFamily> families) throws CniException;

  /**
   * Releases the attachment's leases.
   *
   * @return false if there were none or no daemon could be reached
   * @throws CniException if one could not be released
   */
  boolean release(AttachmentRequest request) throws CniException;

  /**
   * Releases the network's leases whose attachments are not valid.
   *
   * @throws CniException if one could not be released
   */
  void gc(GcRequest request) throws CniException;
}
