// SPDX-License-Identifier: Apache-2.0
/** The bridge plugin. */
module cni.plugins.bridge {
  requires cni.api;
  requires cni.plugins.support;

  provides cni.api.NetworkPlugin with
      cni.plugins.bridge.BridgePlugin;
}
