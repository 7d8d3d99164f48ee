// SPDX-License-Identifier: Apache-2.0
/** The chained plugins: each adjusts an interface that an earlier plugin of the chain has made. */
module cni.plugins.meta {
  requires cni.api;
  requires cni.plugins.support;
  requires cni.policy;

  provides cni.api.NetworkPlugin with
      cni.plugins.meta.bandwidth.BandwidthPlugin,
      cni.plugins.meta.debug.DebugPlugin,
      cni.plugins.meta.firewall.FirewallPlugin,
      cni.plugins.meta.policy.PolicyPlugin,
      cni.plugins.meta.portmap.PortMapPlugin,
      cni.plugins.meta.sbr.SbrPlugin,
      cni.plugins.meta.tuning.TuningPlugin,
      cni.plugins.meta.vrf.VrfPlugin;
  provides cni.api.PluginDaemon with
      cni.plugins.meta.policy.PolicyDaemon;
}
