package cni.plugins.ipam.dhcp;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.GcRequest;
import cni.api.Result;

/** Those who have leases: this process, or a daemon. */
interface Leases {
  /**
   * What the attachment has, or gets now.
   *
   * @throws CniException if it cannot have any
   */
  Result allocate(AttachmentRequest request) throws CniException;

  /**
   * Requires that the attachment has its addresses.
   *
   * @throws CniException if it has not
   */
  void check(AttachmentRequest request) throws CniException;

  /**
   * Gives back what the attachment has.
   *
   * @return whether it had anything, as far as is known
   * @throws CniException if something is left
   */
  boolean release(AttachmentRequest request) throws CniException;

  /**
   * Gives back what belongs to attachments that are gone.
   *
   * @throws CniException if something is left
   */
  void collect(GcRequest request) throws CniException;
}
