/** The plugins that manage addresses: host-local and static. */
module cni.plugins.ipam {
  requires cni.api;
  requires cni.netlink.ffm;

  provides cni.api.NetworkPlugin with
      cni.plugins.ipam.HostLocalPlugin,
      cni.plugins.ipam.StaticPlugin;
}
