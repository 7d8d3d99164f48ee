/** What a program embeds to attach containers to networks. */
module cni.runtime {
  requires transitive cni.api;
  requires transitive cni.exec;
  requires cni.netlink.ffm;
  requires jdk.jfr;

  exports cni.runtime;

  uses cni.api.EventSource;
  uses cni.api.NetworkPlugin;
}
