// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

/** The reason why a check is skipped for a plugin or its configuration. */
final class NotApplicable extends Exception {
  private static final long serialVersionUID = 1L;

  NotApplicable(String reason) {
    super(reason);
  }
}
