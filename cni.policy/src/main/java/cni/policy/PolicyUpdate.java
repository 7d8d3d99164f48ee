// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import cni.policy.file.PolicyFiles;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The difference between the policies of the files and those in force.
 *
 * @param files what was read
 * @param before the policies in force before the files are applied
 */
public record PolicyUpdate(PolicyFiles files, List<Policy> before) {
  /** Copies the list. */
  public PolicyUpdate {
    before = List.copyOf(before);
  }

  /** Returns whether the files can be put in force: none of them has a problem. */
  public boolean isValid() {
    return files.problems().isEmpty();
  }

  /** Returns what putting the files in force changes, in the order of the names. */
  public List<Change> changes() {
    Map<String, Policy> old = new HashMap<>();
    before.forEach(it -> old.put(it.name(), it));
    List<Change> changes = new ArrayList<>();
    for (Policy policy : files.policies()) {
      Policy replaced = old.remove(policy.name());
      if (replaced == null) {
        changes.add(new Change(Kind.ADDED, policy.name()));
      } else if (!replaced.equals(policy)) {
        changes.add(new Change(Kind.CHANGED, policy.name()));
      }
    }
    old.keySet().forEach(it -> changes.add(new Change(Kind.REMOVED, it)));
    changes.sort((a, b) -> a.policy().compareTo(b.policy()));
    return changes;
  }

  /** How a policy changes. */
  public enum Kind {
    ADDED,
    CHANGED,
    REMOVED
  }

  /** The change of one policy, which is named. */
  public record Change(Kind kind, String policy) {}
}
