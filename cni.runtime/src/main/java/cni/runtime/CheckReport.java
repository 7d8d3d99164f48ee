// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AttachmentRequest;
import cni.api.CheckFinding;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.NetworkPlugin;
import cni.api.Verb;
import java.util.ArrayList;
import java.util.List;

/** Collects what the plugins of a chain find in one CHECK. */
final class CheckReport {
  /** The lowest plugin-specific code; 999 is that of any error without one. */
  private static final int MIN_PLUGIN_CODE = 100;

  private final String network;
  private final List<CniException> failures = new ArrayList<>();
  private final List<CheckFinding> findings = new ArrayList<>();

  CheckReport(String network) {
    this.network = network;
  }

  /**
   * Calls a plugin and collects its error. An error without findings, such as that of an
   * executable, counts as one finding.
   *
   * @param isFirst whether the plugin is the first of the chain
   */
  void collect(PluginRegistry plugins, AttachmentRequest request, boolean isFirst) {
    String type = request.config().type();
    int before = findings.size();
    try {
      new PluginCall(network, Verb.CHECK, type)
          .run(
              () -> {
                NetworkPlugin plugin = plugins.find(type);
                check(plugin, type, request, !isFirst && plugin.updatable().isEmpty());
              });
    } catch (CniException e) {
      failures.add(e);
      if (findings.size() == before) { // it threw something else
        findings.add(new CheckFinding(type, Differences.Kind.OTHER, e.getMessage(), "", false));
      }
    }
  }

  /** A repair calls DEL and ADD of an executable, unless it is the first plugin of the chain. */
  private void check(
      NetworkPlugin plugin, String type, AttachmentRequest request, boolean isReplaceable)
      throws CniException {
    try {
      plugin.check(request);
    } catch (CniException e) {
      if (e.findings().isEmpty()) {
        findings.add(
            new CheckFinding(type, Differences.Kind.OTHER, e.getMessage(), "", isReplaceable));
      } else {
        findings.addAll(e.findings());
      }
      throw e;
    }
  }

  /**
   * Requires that there is time for another plugin.
   *
   * @throws CniException code 11 if not; what has been found is a suppressed exception
   */
  void requireTime(Deadline deadline, String type) throws CniException {
    try {
      deadline.check("CHECK by " + type);
    } catch (CniException e) {
      // The last plugin may have ended for the same reason, and says where.
      boolean isReported = !failures.isEmpty() && failures.getLast().is(ErrorCode.TRY_AGAIN_LATER);
      CniException error = isReported ? failures.removeLast() : e;
      failures.forEach(error::addSuppressed);
      throw error;
    }
  }

  /**
   * Throws the error of the CHECK, if there is one.
   *
   * @throws CniException the error of the only plugin that failed; for several, one with the code
   *     of the first, whose findings are those of all, and whose suppressed exceptions are theirs
   */
  void throwIfAny() throws CniException {
    if (failures.isEmpty()) {
      return;
    }
    CniException first = failures.getFirst();
    if (failures.size() == 1) {
      throw isDifference(first) ? first.withFindings(findings) : first;
    }
    throw CniException.ofFindings(first.code(), findings)
        .withContext("network " + network + ", " + Verb.CHECK);
  }

  /** Whether an error means that the attachment differs: reserved codes but 999 do not. */
  private static boolean isDifference(CniException e) {
    return e.code() >= MIN_PLUGIN_CODE;
  }
}
