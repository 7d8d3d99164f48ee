// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

/** What became of a packet. */
public enum Fate {
  /** It arrives; over TCP and ICMP the answer does, too. */
  ARRIVES("arrives"),
  /** It leaves the host, and whether it arrives cannot be seen: no answer is expected. */
  LEAVES("leaves the host"),
  /** It was not sent, and the configuration has no obstacle; filter rules were not evaluated. */
  NO_OBSTACLE("no obstacle found"),
  /** It arrives or leaves the host, but no answer comes back. */
  UNANSWERED("is not answered"),
  /** It does not arrive. */
  LOST("does not arrive");

  private final String text;

  Fate(String text) {
    this.text = text;
  }

  /** Returns whether nothing is wrong, as far as can be seen. */
  public boolean isGood() {
    return this == ARRIVES || this == LEAVES || this == NO_OBSTACLE;
  }

  /** Returns the predicate of a sentence: {@code does not arrive}. */
  @Override
  public String toString() {
    return text;
  }
}
