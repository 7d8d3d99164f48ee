// SPDX-License-Identifier: Apache-2.0
/** The address management (IPAM) plugins: host-local, static, dhcp. */
module cni.plugins.ipam {
  requires cni.api;
  requires cni.netlink.ffm;

  provides cni.api.NetworkPlugin with
      cni.plugins.ipam.hostlocal.HostLocalPlugin,
      cni.plugins.ipam.staticip.StaticPlugin,
      cni.plugins.ipam.dhcp.DhcpPlugin;
  provides cni.api.PluginDaemon with
      cni.plugins.ipam.dhcp.DhcpDaemon;
}
