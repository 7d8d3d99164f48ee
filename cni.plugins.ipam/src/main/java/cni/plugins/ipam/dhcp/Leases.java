package cni.plugins.ipam.dhcp;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.GcRequest;
import cni.api.Result;

/** Where leases are kept: in this process or in a daemon. */
interface Leases {
  /**
   * Returns the attachment's leases as a result; acquires those that it does not have yet.
   *
   * @throws CniException code 11 if no server grants one in time
   */
  Result allocate(AttachmentRequest request) throws CniException;

  /**
   * Checks that the attachment has its leases.
   *
   * @throws CniException if one is missing or has expired
   */
  void check(AttachmentRequest request) throws CniException;

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
