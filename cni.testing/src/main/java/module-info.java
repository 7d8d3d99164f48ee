// SPDX-License-Identifier: Apache-2.0
/**
 * A test kit for container networking: network namespaces that represent hosts and containers,
 * exist for one test and are deleted after it.
 */
module cni.testing {
  requires transitive cni.netlink.ffm;
  requires transitive cni.runtime;
  requires static transitive org.junit.jupiter.api;

  exports cni.testing;
}
