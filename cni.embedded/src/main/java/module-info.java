// SPDX-License-Identifier: Apache-2.0
/**
 * The library and all plugins: everything that a program needs to attach containers to networks. A
 * program that needs only some plugins requires {@code cni.runtime} and those.
 */
module cni.embedded {
  requires transitive cni.runtime;
  requires cni.plugins.bridge;
  requires cni.plugins.meta;
  requires cni.plugins.ipam;
  requires cni.plugins.main;
}
