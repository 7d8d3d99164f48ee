/** What several plugins do to the namespaces of an attachment: configure, compare, delete. */
module cni.plugins.support {
  requires transitive cni.api;
  requires transitive cni.netlink.ffm;

  exports cni.plugins.support;

  provides cni.api.EventSource with
      cni.plugins.support.AttachmentEventSource;
}
