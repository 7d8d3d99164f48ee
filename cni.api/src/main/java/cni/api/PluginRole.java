// SPDX-License-Identifier: Apache-2.0
package cni.api;

/** What a plugin does in a chain, which decides where a configuration may name it. */
public enum PluginRole {
  /**
   * Makes the interface that CNI_IFNAME names, such as bridge and macvlan. A chain has at most one.
   */
  INTERFACE,

  /**
   * Modifies what an earlier plugin of the chain has made, such as portmap: cannot be the first.
   */
  CHAINED,

  /** Assigns addresses to the plugin that delegates to it, such as host-local. */
  IPAM,

  /** None of these; may be anywhere in a chain, such as loopback and debug. */
  OTHER
}
