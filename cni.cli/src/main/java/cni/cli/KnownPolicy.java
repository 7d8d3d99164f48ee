// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.internal.Suggestions;
import cni.policy.Policy;
import cni.policy.PolicyState;
import cni.policy.file.PolicyFiles;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * A policy that is in force or in a file.
 *
 * @param inForce the policy in force; absent if none of the name is
 * @param inFile the policy of a file; absent if there is none, or it is invalid
 */
record KnownPolicy(
    String name,
    Optional<Policy> inForce,
    Optional<Policy> inFile,
    Optional<Path> file,
    boolean filesAreValid) {
  /** Returns all policies by name. */
  static Map<String, KnownPolicy> all(PolicyState state, PolicyFiles files) {
    Map<String, Policy> inForce = byName(state.policies());
    Map<String, Policy> inFiles = byName(files.policies());
    Map<String, KnownPolicy> all = new TreeMap<>();
    for (Map<String, Policy> policies : List.of(inForce, inFiles)) {
      for (String name : policies.keySet()) {
        all.put(
            name,
            new KnownPolicy(
                name,
                Optional.ofNullable(inForce.get(name)),
                Optional.ofNullable(inFiles.get(name)),
                Optional.ofNullable(files.files().get(name)),
                files.problems().isEmpty()));
      }
    }
    return all;
  }

  private static Map<String, Policy> byName(Iterable<Policy> policies) {
    Map<String, Policy> byName = new TreeMap<>();
    policies.forEach(it -> byName.put(it.name(), it));
    return byName;
  }

  /**
   * Returns the policy of a name.
   *
   * @throws CniException code 4 if there is none; the message has a similar name
   */
  static KnownPolicy require(String name, Map<String, KnownPolicy> all) throws CniException {
    KnownPolicy found = all.get(name);
    if (found == null) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "there is no policy "
              + name
              + ": "
              + (all.isEmpty()
                  ? "no policies are in force, and there are none in the directory"
                  : Suggestions.of(name, all.keySet())));
    }
    return found;
  }

  /** Returns the policy in force, or else that of the file. */
  Policy policy() {
    return inForce.or(() -> inFile).orElseThrow();
  }

  /** Returns whether it is in force as the file has it. */
  boolean isInForce() {
    return inForce.isPresent() && inForce.equals(inFile);
  }

  /** Returns in words whether it is in force. */
  String describeState() {
    if (inForce.isEmpty()) {
      return "not in force";
    }
    if (inFile.isEmpty()) {
      return filesAreValid ? "in force, removed from the files" : "in force, its file is invalid";
    }
    return isInForce() ? "in force" : "in force, changed in the file";
  }
}
