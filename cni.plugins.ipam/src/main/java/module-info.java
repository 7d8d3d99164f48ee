// SPDX-License-Identifier: Apache-2.0
/** The address management (IPAM) plugins: host-local, static, dhcp. */
@SuppressWarnings("module") // the module of the qualified exports is built after this one
module cni.plugins.ipam {
  requires cni.api;
  requires cni.netlink.ffm;

  exports cni.plugins.ipam to
      cni.plugins.etcd;
  exports cni.plugins.ipam.hostlocal to
      cni.plugins.etcd;
  exports cni.plugins.ipam.range to
      cni.plugins.etcd;

  provides cni.api.NetworkPlugin with
      cni.plugins.ipam.hostlocal.HostLocalPlugin,
      cni.plugins.ipam.staticip.StaticPlugin,
      cni.plugins.ipam.dhcp.DhcpPlugin;
  provides cni.api.PluginDaemon with
      cni.plugins.ipam.dhcp.DhcpDaemon;
}
