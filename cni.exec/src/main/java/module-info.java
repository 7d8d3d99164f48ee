/** The execution protocol of CNI: executables as plugins. */
module cni.exec {
  requires transitive cni.api;
  requires cni.netlink.ffm;

  exports cni.exec;
}
