/** The plugins that adjust an interface made by another: tuning. */
module cni.plugins.chained {
  requires cni.api;
  requires cni.sandbox;

  provides cni.api.NetworkPlugin with
      cni.plugins.chained.PortMapPlugin,
      cni.plugins.chained.TuningPlugin;
}
