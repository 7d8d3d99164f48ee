// SPDX-License-Identifier: Apache-2.0
/** Address management for the hosts of a cluster, kept in etcd: the etcd plugin. */
module cni.plugins.etcd {
  requires cni.api;
  requires cni.plugins.ipam;
  requires java.net.http;

  provides cni.api.NetworkPlugin with
      cni.plugins.etcd.EtcdPlugin;
}
