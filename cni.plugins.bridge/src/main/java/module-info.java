/** The bridge plugin. */
module cni.plugins.bridge {
  requires cni.api;
  requires cni.sandbox;

  provides cni.api.NetworkPlugin with
      cni.plugins.bridge.BridgePlugin;
}
