/** The plugins that adjust an interface made by another. */
module cni.plugins.chained {
  requires cni.api;
  requires cni.sandbox;

  provides cni.api.NetworkPlugin with
      cni.plugins.chained.BandwidthPlugin,
      cni.plugins.chained.DebugPlugin,
      cni.plugins.chained.FirewallPlugin,
      cni.plugins.chained.PortMapPlugin,
      cni.plugins.chained.SbrPlugin,
      cni.plugins.chained.TuningPlugin,
      cni.plugins.chained.VrfPlugin;
}
