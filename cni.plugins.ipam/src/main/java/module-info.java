/** The plugins that manage addresses: host-local. */
module cni.plugins.ipam {
  requires cni.api;
  requires cni.netlink.ffm;

  provides cni.api.NetworkPlugin with
      cni.plugins.ipam.HostLocalPlugin;
}
