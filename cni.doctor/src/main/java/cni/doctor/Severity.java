// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import java.util.Locale;

/** How serious a finding is. */
public enum Severity {
  /** Stops ADD, or traffic of attachments. */
  ERROR,
  /** Leaks, is about to fail, or fails under conditions that may not hold now. */
  WARNING;

  /** Returns the form in text and JSON: {@code error}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
