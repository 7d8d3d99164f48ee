// SPDX-License-Identifier: Apache-2.0
/** The execution protocol of CNI, in both directions. */
module cni.exec {
  requires transitive cni.api;
  requires cni.netlink.ffm;

  exports cni.exec;
}
