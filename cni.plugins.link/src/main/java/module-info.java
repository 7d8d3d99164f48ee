/** The interface plugins other than bridge: loopback. */
module cni.plugins.link {
  requires cni.api;
  requires cni.sandbox;

  provides cni.api.NetworkPlugin with
      cni.plugins.link.LoopbackPlugin;
}
