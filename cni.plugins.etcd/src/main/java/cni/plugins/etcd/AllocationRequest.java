// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AttachmentId;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;

/**
 * What is to be allocated for an attachment.
 *
 * @param attachment the attachment
 * @param addresses the requested addresses
 * @param purpose why
 * @param name the name that the addresses are kept for; absent if they are not
 */
record AllocationRequest(
    AttachmentId attachment, List<InetAddress> addresses, Purpose purpose, Optional<String> name) {
  /** Copies the list. */
  AllocationRequest {
    addresses = List.copyOf(addresses);
  }

  /** Why addresses are allocated. */
  enum Purpose {
    /** For a new attachment: each range set provides one, the requested one if there is one. */
    ADD,
    /**
     * To record the requested addresses, which an attachment uses already: also if they are
     * excluded by now, and while a restored store assigns no others.
     */
    RECORD
  }

  /**
   * Returns the request of an ADD.
   *
   * @param addresses the requested addresses, which are in the ranges
   */
  static AllocationRequest add(
      AttachmentId attachment, List<InetAddress> addresses, Optional<String> name) {
    return new AllocationRequest(attachment, addresses, Purpose.ADD, name);
  }

  /** Returns the request to record the addresses that an attachment uses. */
  static AllocationRequest record(
      AttachmentId attachment, List<InetAddress> addresses, Optional<String> name) {
    return new AllocationRequest(attachment, addresses, Purpose.RECORD, name);
  }

  boolean isAdd() {
    return purpose == Purpose.ADD;
  }
}
