/** The interface plugins other than bridge. */
module cni.plugins.link {
  requires cni.api;
  requires cni.sandbox;

  provides cni.api.NetworkPlugin with
      cni.plugins.link.DummyPlugin,
      cni.plugins.link.HostDevicePlugin,
      cni.plugins.link.IpvlanPlugin,
      cni.plugins.link.LoopbackPlugin,
      cni.plugins.link.MacvlanPlugin,
      cni.plugins.link.PtpPlugin,
      cni.plugins.link.TapPlugin,
      cni.plugins.link.VlanPlugin;
}
