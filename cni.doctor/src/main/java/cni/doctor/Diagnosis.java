// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import java.util.List;

/**
 * The outcome of an examination of a host.
 *
 * @param examinations the number of examinations that were made
 * @param findings what is wrong, in the order of weight
 * @param omitted the examinations that could not be made
 */
public record Diagnosis(int examinations, List<Finding> findings, List<Omitted> omitted) {
  /** Copies the lists. */
  public Diagnosis {
    findings = List.copyOf(findings);
    omitted = List.copyOf(omitted);
  }

  /**
   * An examination that could not be made, for example for lack of privileges.
   *
   * @param kind what was not looked for
   * @param reason why not
   * @param lacksPrivilege whether it could be made as root
   */
  public record Omitted(FindingKind kind, String reason, boolean lacksPrivilege) {}

  /** Returns whether an error was found. */
  public boolean hasErrors() {
    return findings.stream().anyMatch(it -> it.kind().severity() == Severity.ERROR);
  }
}
