// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.CniException;
import cni.api.Json;
import cni.plugins.etcd.client.KeyValue;
import java.time.Instant;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/**
 * Addresses that are kept for the name of a container until it is attached again ({@code sticky}).
 * Their bits in the blocks stay set.
 *
 * @param key the key, which contains the name
 * @param addresses the addresses
 * @param since when the last attachment with that name ended, by the clock of its node
 * @param modRevision the revision of this state
 */
record KeptAddresses(String key, List<ReservedAddress> addresses, Instant since, long modRevision) {
  /** Copies the list. */
  KeptAddresses {
    addresses = List.copyOf(addresses);
  }

  /**
   * Parses a key's value.
   *
   * @throws CniException code 6 if it is invalid
   */
  static KeptAddresses parse(KeyValue stored) throws CniException {
    StoredValue value = StoredValue.parse(stored);
    return new KeptAddresses(
        stored.key(), ReservedAddress.read(value), value.time("since"), stored.modRevision());
  }

  /** Returns the value for addresses that are kept from now on. */
  static String toJson(List<ReservedAddress> addresses) {
    ObjectNode json = Json.object();
    ReservedAddress.write(addresses, json);
    json.put("since", Instant.now().toString());
    return StoredValue.text(json);
  }
}
