// SPDX-License-Identifier: Apache-2.0
package cni.policy;

/** The destination ports of a protocol that a rule allows. */
public sealed interface PortMatch {
  /** The lowest port; 0 is never the destination of a packet. */
  int FIRST_PORT = 1;

  /** The highest port. */
  int LAST_PORT = 65535;

  /** Returns the protocol. */
  Protocol protocol();

  /** Every port, or every packet if the protocol has no ports. */
  record All(Protocol protocol) implements PortMatch {}

  /**
   * The ports of a range.
   *
   * @param first the lowest port
   * @param last the highest port, at least the lowest
   */
  record Range(Protocol protocol, int first, int last) implements PortMatch {}

  /**
   * The port to which the destination has given a name ({@link Endpoint#ports}). It matches nothing
   * if the destination has not.
   */
  record Named(Protocol protocol, String name) implements PortMatch {}
}
