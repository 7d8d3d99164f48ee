// SPDX-License-Identifier: Apache-2.0
/** The CNI specification in Java. */
@SuppressWarnings("module") // the modules of the qualified export are built after this one
module cni.api {
  requires transitive tools.jackson.databind;
  requires static transitive org.jspecify;

  exports cni.api;
  exports cni.api.internal to
      cni.cli,
      cni.conformance,
      cni.daemon,
      cni.doctor,
      cni.exec,
      cni.plugins.bridge,
      cni.plugins.etcd,
      cni.plugins.ipam,
      cni.plugins.main,
      cni.plugins.meta,
      cni.plugins.support,
      cni.policy,
      cni.runtime;
}
