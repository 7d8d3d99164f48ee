// SPDX-License-Identifier: Apache-2.0
/**
 * Diagnosis of a host: what is wrong and how to mend it, why a packet does not arrive, and what
 * attachments send and receive.
 */
module cni.doctor {
  requires transitive cni.api;
  requires transitive cni.netlink.ffm;
  requires transitive cni.runtime;

  exports cni.doctor;
  exports cni.doctor.metrics;
  exports cni.doctor.page;
  exports cni.doctor.path;
  exports cni.doctor.traffic;
}
