// SPDX-License-Identifier: Apache-2.0
/** Checks whether a plugin, a module or an executable in any language, conforms to CNI. */
module cni.conformance {
  requires transitive cni.runtime;
  requires cni.netlink.ffm;
  requires cni.testing;
  requires static org.junit.jupiter.api;

  exports cni.conformance;
}
