// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

/** A violation of a requirement; the message is what was observed. */
final class CheckFailure extends Exception {
  private static final long serialVersionUID = 1L;

  CheckFailure(String observed) {
    super(observed);
  }
}
