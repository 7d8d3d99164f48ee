// SPDX-License-Identifier: Apache-2.0
/**
 * Operations of plugins on the namespaces of an attachment: configuration, comparison, deletion.
 */
module cni.plugins.support {
  requires transitive cni.api;
  requires transitive cni.netlink.ffm;

  exports cni.plugins.support;

  provides cni.api.EventSource with
      cni.plugins.support.AttachmentEventSource,
      cni.plugins.support.AddressConflictSource;
}
