// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import java.util.Locale;

/**
 * The kinds of findings, in the order of their weight: what stops ADD or traffic comes first.
 * {@code docs/doctor.md} describes each of them.
 */
public enum FindingKind {
  // ADD fails for every network
  NF_TABLES_MISSING(Severity.ERROR),
  DISK_READ_ONLY(Severity.ERROR),
  DISK_FULL(Severity.ERROR),
  CONFIG_DIRECTORY_EMPTY(Severity.ERROR),

  // ADD fails for a network
  CONFIG_UNREADABLE(Severity.ERROR),
  PLUGIN_NOT_EXECUTABLE(Severity.ERROR),
  PLUGIN_WRONG_ARCHITECTURE(Severity.ERROR),
  PLUGIN_INTERPRETER_MISSING(Severity.ERROR),
  PLUGIN_UNKNOWN(Severity.ERROR),
  PLUGIN_VERSION(Severity.ERROR),
  PLUGIN_DISABLED(Severity.ERROR),
  RANGE_EXHAUSTED(Severity.ERROR),

  // a network has no traffic
  BRIDGE_MISSING(Severity.ERROR),
  BRIDGE_DOWN(Severity.ERROR),
  BRIDGE_MTU_SMALL(Severity.ERROR),
  BRIDGE_WITHOUT_ADDRESS(Severity.ERROR),
  FORWARDING_OFF(Severity.ERROR),
  FORWARD_DROPPED(Severity.ERROR),
  SUBNET_OVERLAP(Severity.ERROR),
  HOST_SUBNET_OVERLAP(Severity.ERROR),
  CONNTRACK_FULL(Severity.ERROR),
  NEIGHBOURS_FULL(Severity.ERROR),

  // an attachment has no traffic, or not all of it
  INTERFACE_GONE(Severity.ERROR),
  INTERFACE_DOWN(Severity.ERROR),
  PORT_DETACHED(Severity.ERROR),
  ADDRESS_DUPLICATE(Severity.ERROR),
  MAC_DUPLICATE(Severity.ERROR),
  DAD_FAILED(Severity.ERROR),
  ADDRESS_TENTATIVE(Severity.ERROR),
  RP_FILTER_STRICT(Severity.ERROR),
  ROUTE_SHADOWED(Severity.ERROR),
  MTU_ABOVE_BRIDGE(Severity.ERROR),
  RESERVATION_DIFFERS(Severity.ERROR),
  CONNECTION_STALE(Severity.ERROR),
  PORTS_DROPPED(Severity.ERROR),
  ROUTE_LOCALNET_OFF(Severity.ERROR),
  HAIRPIN_OFF(Severity.ERROR),
  POLICY_BYPASSED(Severity.ERROR),
  CHECK_FAILED(Severity.ERROR),

  // works only in part, leaks, or fails later
  PORT_TAKEN(Severity.WARNING),
  DEFAULT_ROUTE_MISSING(Severity.WARNING),
  ADD_INTERRUPTED(Severity.WARNING),
  NAMESPACE_GONE(Severity.WARNING),
  ADDRESS_LEAKED(Severity.WARNING),
  RULES_LEAKED(Severity.WARNING),
  CACHE_UNREADABLE(Severity.WARNING),
  RANGE_NEARLY_EXHAUSTED(Severity.WARNING),
  CONFIG_QUESTIONABLE(Severity.WARNING),
  CONFIG_SHADOWED(Severity.WARNING),
  CONFIG_IGNORED(Severity.WARNING),
  IPTABLES_MIXED(Severity.WARNING),
  BRIDGE_FILTERED(Severity.WARNING),
  BRIDGE_MAC_BORROWED(Severity.WARNING),
  MTU_ABOVE_UPLINK(Severity.WARNING),
  ACCEPT_RA_IGNORED(Severity.WARNING),
  NAMESPACE_FILE_STALE(Severity.WARNING),
  WRITABLE_BY_OTHERS(Severity.WARNING);

  private final Severity severity;

  FindingKind(Severity severity) {
    this.severity = severity;
  }

  /** Returns how serious findings of this kind are. */
  public Severity severity() {
    return severity;
  }

  /** Returns the name in text, JSON and documentation: {@code forwarding-off}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
