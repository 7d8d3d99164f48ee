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
 * @param sentence its words there
 * @param roles which plugins it is asked of
 * @param body looks at it
 */
record Requirement(
    String id, String title, String section, String sentence, Set<Setting.Role> roles, Body body) {
  static final Set<Setting.Role> ALL = EnumSet.allOf(Setting.Role.class);
  static final Set<Setting.Role> INTERFACE = EnumSet.of(Setting.Role.INTERFACE);
  static final Set<Setting.Role> CHAINED = EnumSet.of(Setting.Role.CHAINED);
  static final Set<Setting.Role> IPAM = EnumSet.of(Setting.Role.IPAM);

  /** Looks whether a plugin does what is asked. */
  @FunctionalInterface
  interface Body {
    void run(Trial trial) throws CheckFailure, NotApplicable, CniException, IOException;
  }
}
