/** What several plugins do to the namespaces of an attachment. */
module cni.sandbox {
  requires transitive cni.api;
  requires transitive cni.netlink.ffm;

  exports cni.sandbox;

  provides cni.api.EventSource with
      cni.sandbox.AttachmentEvents;
}
