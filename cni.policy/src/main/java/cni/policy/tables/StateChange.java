// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.policy.Endpoint;
import cni.policy.Policy;
import cni.policy.PolicyState;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * The difference between two states.
 *
 * @param endpoints the endpoints that come, go or differ
 * @param policies the names of the policies that come, go or differ
 */
public record StateChange(Set<Endpoint.Id> endpoints, Set<String> policies) {
  /** Returns what differs. */
  public static StateChange between(PolicyState before, PolicyState after) {
    return new StateChange(
        changes(before.endpoints(), after.endpoints()),
        before.policies().equals(after.policies())
            ? Set.of()
            : changes(byName(before), byName(after)));
  }

  /** Returns whether anything but the coming and going of endpoints differs. */
  public boolean hasRelabelled(PolicyState before, PolicyState after) {
    return !policies.isEmpty()
        || endpoints.stream()
            .anyMatch(
                it -> before.endpoints().containsKey(it) && after.endpoints().containsKey(it));
  }

  private static Map<String, Policy> byName(PolicyState state) {
    Map<String, Policy> policies = new HashMap<>();
    state.policies().forEach(it -> policies.put(it.name(), it));
    return policies;
  }

  private static <K, V> Set<K> changes(Map<K, V> before, Map<K, V> after) {
    Set<K> changes = new HashSet<>();
    for (Map.Entry<K, V> entry : after.entrySet()) {
      V old = before.get(entry.getKey());
      if (!Objects.equals(old, entry.getValue())) { // a quick answer if it is the same object
        changes.add(entry.getKey());
      }
    }
    for (K key : before.keySet()) {
      if (!after.containsKey(key)) {
        changes.add(key);
      }
    }
    return changes;
  }
}
