// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.plugins.ipam.range.AddressKey;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The reserved addresses of a network, and for each a hash of its holder: finds the addresses of an
 * attachment without reading any file of another one. Different holders may have the same hash; the
 * caller reads the files of the addresses found to confirm the holder. Hashes instead of ids keep a
 * reservation at some 190 bytes of memory.
 */
final class ReservationIndex {
  private final Map<AddressKey, Long> hashes = new HashMap<>();
  private final Map<Long, List<AddressKey>> addresses = new HashMap<>();

  int size() {
    return hashes.size();
  }

  boolean contains(AddressKey address) {
    return hashes.containsKey(address);
  }

  /** Records the holder of an address, in place of a previous one. */
  void put(AddressKey address, long holderHash) {
    remove(address);
    hashes.put(address, holderHash);
    List<AddressKey> others = addresses.get(holderHash);
    addresses.put(holderHash, others == null ? List.of(address) : with(others, address));
  }

  /** Removes an address, if it is there. */
  void remove(AddressKey address) {
    Long hash = hashes.remove(address);
    if (hash != null) {
      List<AddressKey> held = heldBy(hash);
      if (held.size() == 1) {
        addresses.remove(hash);
      } else {
        addresses.put(hash, without(held, address));
      }
    }
  }

  /** Returns the addresses whose holder has this hash. */
  List<AddressKey> heldBy(long holderHash) {
    return addresses.getOrDefault(holderHash, List.of());
  }

  /** Returns every address, in no particular order. */
  List<AddressKey> addresses() {
    return List.copyOf(hashes.keySet());
  }

  private static List<AddressKey> with(List<AddressKey> list, AddressKey address) {
    List<AddressKey> longer = new ArrayList<>(list);
    longer.add(address);
    return longer;
  }

  private static List<AddressKey> without(List<AddressKey> list, AddressKey address) {
    List<AddressKey> rest = new ArrayList<>(list);
    rest.remove(address);
    return rest;
  }
}
