// SPDX-License-Identifier: Apache-2.0
/** The interface plugins other than bridge. */
module cni.plugins.main {
  requires cni.api;
  requires cni.plugins.support;

  provides cni.api.NetworkPlugin with
      cni.plugins.main.dummy.DummyPlugin,
      cni.plugins.main.hostdevice.HostDevicePlugin,
      cni.plugins.main.ipvlan.IpvlanPlugin,
      cni.plugins.main.loopback.LoopbackPlugin,
      cni.plugins.main.macvlan.MacvlanPlugin,
      cni.plugins.main.ptp.PtpPlugin,
      cni.plugins.main.tap.TapPlugin,
      cni.plugins.main.vlan.VlanPlugin;
}
