// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import java.util.HashMap;
import java.util.Map;

/** Counts how many endpoints use each of some chains. */
final class Uses<T> {
  private final Map<String, Integer> counts = new HashMap<>();
  private final Map<String, T> used = new HashMap<>();

  /** Counts a further use; the newest value of a name stands. */
  void acquire(String name, T value) {
    counts.merge(name, 1, Integer::sum);
    used.put(name, value);
  }

  void release(String name) {
    if (counts.merge(name, -1, Integer::sum) == 0) {
      counts.remove(name);
      used.remove(name);
    }
  }

  /** Returns the values that are in use. */
  Map<String, T> used() {
    return used;
  }
}
