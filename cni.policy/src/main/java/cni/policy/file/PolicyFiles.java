// SPDX-License-Identifier: Apache-2.0
package cni.policy.file;

import cni.policy.Policy;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * What {@link PolicyReader} found.
 *
 * @param policies the policies without problems, in the order of their names
 * @param files the file of each policy, by its name
 * @param problems all problems of all files; if there is one, the policies are not the whole set
 *     and must not be put in force
 */
public record PolicyFiles(List<Policy> policies, Map<String, Path> files, List<Problem> problems) {
  /** Copies the collections. */
  public PolicyFiles {
    policies = List.copyOf(policies);
    files = Map.copyOf(files);
    problems = List.copyOf(problems);
  }
}
