// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.netlink.ffm.packet.ProbeSocket;

/** What is sent to find out whether it arrives. */
public enum ProbeProtocol {
  /** A TCP connection request. */
  TCP(ProbeSocket.Kind.TCP),
  /** A UDP datagram. */
  UDP(ProbeSocket.Kind.UDP),
  /** An ICMP or ICMPv6 echo request. */
  ICMP(ProbeSocket.Kind.ECHO);

  private final ProbeSocket.Kind kind;

  ProbeProtocol(ProbeSocket.Kind kind) {
    this.kind = kind;
  }

  ProbeSocket.Kind kind() {
    return kind;
  }

  /** Returns whether packets have ports. */
  public boolean hasPorts() {
    return this != ICMP;
  }
}
