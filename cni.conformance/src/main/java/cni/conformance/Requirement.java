// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import cni.api.CniException;
import java.io.IOException;
import java.util.EnumSet;
import java.util.Set;

/**
 * A requirement of the specification.
 *
 * @param id the stable id, as documented
 * @param title the requirement in a few words
 * @param section the section of SPEC.md, version 1.1.0
 * @param specText the wording of that section
 * @param roles the roles of plugins that it applies to
 * @param check tests the requirement
 */
record Requirement(
    String id,
    String title,
    String section,
    String specText,
    Set<SubjectConfig.Role> roles,
    Check check) {
  static final Set<SubjectConfig.Role> ALL = EnumSet.allOf(SubjectConfig.Role.class);
  static final Set<SubjectConfig.Role> INTERFACE = EnumSet.of(SubjectConfig.Role.INTERFACE);
  static final Set<SubjectConfig.Role> CHAINED = EnumSet.of(SubjectConfig.Role.CHAINED);
  static final Set<SubjectConfig.Role> IPAM = EnumSet.of(SubjectConfig.Role.IPAM);

  /** Tests whether a plugin meets a requirement. */
  @FunctionalInterface
  interface Check {
    void run(CheckContext context) throws CheckFailure, NotApplicable, CniException, IOException;
  }
}
