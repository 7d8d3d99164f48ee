// SPDX-License-Identifier: Apache-2.0
/** The {@code cni} command. */
module cni.cli {
  requires cni.conformance;
  requires cni.daemon;
  requires cni.doctor;
  requires cni.netlink.ffm;
  requires cni.policy;
  requires cni.runtime;
  requires info.picocli;

  uses cni.api.PluginDaemon;
}
