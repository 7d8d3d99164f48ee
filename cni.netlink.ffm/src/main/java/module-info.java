// SPDX-License-Identifier: Apache-2.0
/**
 * Linux kernel interfaces for Java: netlink (routing, traffic control, nf_tables, connection
 * tracking), network namespaces, child processes, flock(2), inotify(7), sysctls, packet sockets and
 * Unix sockets.
 *
 * <p>It calls the C library by the foreign function interface, which needs the option {@code
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
  exports cni.netlink.ffm.unix;
}
