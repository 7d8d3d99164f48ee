// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The outcome of a transaction.
 *
 * @param header the state of the store at the transaction
 * @param succeeded whether all comparisons held
 * @param reads the keys of each reading operation, in the order of the operations
 */
public record TxnResponse(Header header, boolean succeeded, List<List<KeyValue>> reads) {
  /** Copies the list. */
  public TxnResponse {
    reads = List.copyOf(reads);
  }

  /**
   * The header of a response.
   *
   * @param clusterId the cluster's id, an unsigned decimal number
   * @param revision the revision of the store: grows by one with each transaction that writes
   */
  public record Header(String clusterId, long revision) {}

  /** Returns the key of a {@link Op.Get}; absent if it does not exist. */
  public Optional<KeyValue> get(int read) {
    return reads.get(read).stream().findFirst();
  }

  /** Returns the keys of all reading operations. */
  public List<KeyValue> all() {
    List<KeyValue> all = new ArrayList<>();
    reads.forEach(all::addAll);
    return all;
  }
}
