/** Network namespaces, netlink sockets, sysctl and file locks. */
@NullMarked
package cni.netlink.ffm;

import org.jspecify.annotations.NullMarked;
