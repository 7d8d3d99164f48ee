// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.util.Locale;

/** A protocol with ports, as capability arguments name it. */
public enum TransportProtocol {
  /** TCP, the default of capability arguments. */
  TCP,
  /** UDP. */
  UDP,
  /** SCTP. */
  SCTP;

  /**
   * Parses a name, regardless of case.
   *
   * @throws IllegalArgumentException if it is none; the message continues a sentence that begins
   *     with the text
   */
  public static TransportProtocol parse(String text) {
    requireNonNull(text, "text");
    return switch (text.toLowerCase(Locale.ROOT)) {
      case "tcp" -> TCP;
      case "udp" -> UDP;
      case "sctp" -> SCTP;
      default -> throw new IllegalArgumentException("must be tcp, udp or sctp");
    };
  }

  /** Returns the name in lower case, the form of capability arguments. */
  @Override
  public String toString() {
    return switch (this) {
      case TCP -> "tcp";
      case UDP -> "udp";
      case SCTP -> "sctp";
    };
  }
}
