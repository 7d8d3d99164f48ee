package cni.conformance;

import cni.api.CniException;
import java.io.IOException;
import java.util.EnumSet;
import java.util.Set;

/**
 * Something that the specification asks of a plugin.
 *
 * @param id by which it is known, for ever
 * @param title what is looked at, in a few words
 * @param section where it stands in SPEC.md, version 1.1.0
 * @param specText its words there
 * @param roles which plugins it is asked of
 * @param check looks at it
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

  /** Looks whether a plugin does what is asked. */
  @FunctionalInterface
  interface Check {
    void run(CheckContext trial) throws CheckFailure, NotApplicable, CniException, IOException;
  }
}
