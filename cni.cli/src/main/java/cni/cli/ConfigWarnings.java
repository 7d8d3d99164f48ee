// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.runtime.Cni;
import cni.runtime.ConfigProblem;
import cni.runtime.Network;
import cni.runtime.ShadowedFile;
import cni.runtime.ValidationReport;
import java.io.PrintStream;

/** Warnings about network configurations, printed on standard error by commands that go on. */
final class ConfigWarnings {
  private ConfigWarnings() {}

  /**
   * Prints a warning for each file that is not used because another defines its network.
   *
   * @throws CniException code 5 if the directory of network configurations cannot be read
   */
  static void printShadowed(Cni cni) throws CniException {
    for (ShadowedFile shadowed : cni.shadowedFiles()) {
      Invocation.standardError().println("cni: warning: " + shadowed);
    }
  }

  /** Prints the problems of a network's configuration, and returns the report. */
  static ValidationReport print(Network network) {
    ValidationReport report = network.validate();
    PrintStream err = Invocation.standardError();
    for (ConfigProblem problem : report.problems()) {
      err.println("cni: " + problem);
    }
    return report;
  }
}
