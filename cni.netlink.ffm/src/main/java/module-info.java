/**
 * The Linux kernel from Java: network namespaces, netlink and its routing family, sysctl and
 * flock(2), through the foreign function interface. Needs {@code
 * --enable-native-access=cni.netlink.ffm}.
 */
module cni.netlink.ffm {
  requires static transitive org.jspecify;

  exports cni.netlink.ffm;
  exports cni.netlink.ffm.file;
  exports cni.netlink.ffm.netns;
  exports cni.netlink.ffm.nftables;
  exports cni.netlink.ffm.packet;
  exports cni.netlink.ffm.process;
  exports cni.netlink.ffm.route;
  exports cni.netlink.ffm.tc;
}
