// SPDX-License-Identifier: Apache-2.0
/**
 * The runtime's side of CNI, which programs embed to attach containers to networks: configurations,
 * plugins, operations and the result cache.
 */
module cni.runtime {
  requires transitive cni.api;
  requires transitive cni.exec;
  requires cni.netlink.ffm;
  requires jdk.jfr;

  exports cni.runtime;

  uses cni.api.EventSource;
  uses cni.api.NetworkPlugin;
}
